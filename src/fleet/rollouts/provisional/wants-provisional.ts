import { Prisma } from '../../../platform/database/database.ts';

/**
 * Condition that a job `j` wants a provisional version of its adapter, and the adapter exists. The job has not ended,
 * or it failed for lack of rows, which a provisional version does not need. The adapter is looked up job by job,
 * because a join may read all adapters whenever a request ends.
 */
export const WANTS_PROVISIONAL = Prisma.sql`(
  (j.finished_at IS NULL OR (j.state = 'failed' AND j.error ->> 'code' = 'dataset_missing'))
  AND (SELECT a.deleted_at IS NULL AND t.deleted_at IS NULL FROM adapters a JOIN tenants t ON t.id = a.tenant_id
    WHERE a.id = j.adapter_id))`;

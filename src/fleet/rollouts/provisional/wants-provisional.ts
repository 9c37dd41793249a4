import { Prisma } from '../../../platform/database/database.ts';

/**
 * Whether a job `j` wants a provisional version of its adapter, which exists: it has not ended, or it could not begin for want of the rows
 * that such a version does without. The adapter is looked up for each job, because a join may read all of them at each end of a request.
 */
export const WANTS_PROVISIONAL = Prisma.sql`(
  (j.finished_at IS NULL OR (j.state = 'failed' AND j.error ->> 'code' = 'dataset_missing'))
  AND (SELECT a.deleted_at IS NULL AND t.deleted_at IS NULL FROM adapters a JOIN tenants t ON t.id = a.tenant_id
    WHERE a.id = j.adapter_id))`;

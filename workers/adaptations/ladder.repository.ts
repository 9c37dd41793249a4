import type { LadderDocument } from '../../core/method/ladder/ladder-document.ts';
import type { Transaction } from '../../src/platform/database/database.ts';

/**
 * Number of latest runs of a job whose ladders are kept. A run lasts from the job's start, or from a retry, to the next
 * retry.
 */
const KEPT_RUNS = 10;

/**
 * Job and run that a ladder belongs to. The run is identified by `retriedAfter`, the number of the last attempt before
 * it; 0 for the first run.
 */
export interface LadderOwner {
  readonly id: string;
  readonly tenantId: string;
  readonly retriedAfter: number;
  readonly strategy: string;
}

/**
 * Stores the ladder of a job's run, in place of its earlier state. Each report holds the whole ladder, so a resumed
 * attempt that reports rungs again duplicates nothing. Only the holder of the job's lease may call this.
 */
export async function keepLadder(
  tx: Transaction,
  { id, tenantId, retriedAfter, strategy }: LadderOwner,
  ladder: LadderDocument,
): Promise<void> {
  await tx.$executeRaw`
    INSERT INTO job_ladders (job_id, retried_after, tenant_id, strategy, ladder)
    VALUES (${id}, ${retriedAfter}, ${tenantId}, ${strategy}, ${JSON.stringify(ladder)}::jsonb)
    ON CONFLICT (job_id, retried_after) DO UPDATE SET ladder = EXCLUDED.ladder, updated_at = clock_timestamp()`;
  await tx.$executeRaw`
    DELETE FROM job_ladders WHERE job_id = ${id} AND retried_after IN (
      SELECT retried_after FROM job_ladders WHERE job_id = ${id} ORDER BY retried_after DESC OFFSET ${KEPT_RUNS})`;
}

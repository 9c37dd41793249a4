import { Prisma, type Database, type Transaction } from '../../platform/database/database.ts';
import { inState, REFINING, RETURNED, type ChangedJob } from './changed-job.ts';
import { ACCRUE, CLOCK } from './job-clock.ts';
import { statesBefore } from './job.states.ts';

/**
 * Jobs to cancel: one job, several jobs, or up to `limit` jobs of a rollout, beginning after the identifier `after`.
 */
export type JobsToCancel =
  | { jobId: string }
  | { jobIds: readonly string[] }
  | { rolloutId: string; after?: string; limit?: number };

/** Deleted adapter or tenant whose jobs are to be cancelled. */
export type JobOwner = { adapterId: string } | { tenantId: string };

function selected(which: JobsToCancel): Prisma.Sql {
  if ('jobId' in which) return Prisma.sql`id = ${which.jobId}`;
  if ('jobIds' in which) return Prisma.sql`id = ANY(${[...which.jobIds]}::text[])`;
  return Prisma.sql`rollout_id = ${which.rolloutId} AND id > ${which.after ?? ''}`;
}

export const jobCancellationRepository = {
  /**
   * Cancels those of the selected jobs that are unfinished. Their leases are removed, which workers notice at the next
   * heartbeat. A ready job keeps its published version, and only stops being refined.
   */
  cancel(tx: Transaction, which: JobsToCancel): Promise<ChangedJob[]> {
    const limit = 'rolloutId' in which ? (which.limit ?? null) : null;
    return tx.$queryRaw<ChangedJob[]>`
      ${CLOCK}
      UPDATE jobs j SET ${ACCRUE},
        state = CASE WHEN j.state = 'ready' THEN j.state ELSE 'cancelled' END,
        finished_at = clock.now, lease_owner = NULL, lease_expires_at = NULL, paused_at = NULL, paused_by = NULL,
          admission = NULL,
        updated_at = clock.now
      FROM clock,
        (SELECT id, state FROM jobs WHERE ${selected(which)} AND finished_at IS NULL ORDER BY id LIMIT ${limit}::int
          FOR NO KEY UPDATE) AS old
      WHERE j.id = old.id AND (${inState(statesBefore('cancelled'))} OR ${REFINING})
      RETURNING ${RETURNED}`;
  },

  /**
   * Finds up to `limit` unfinished jobs of a deleted adapter or tenant, ordered by rollout. The list is empty if the
   * adapter or tenant is not deleted any more.
   */
  unfinishedOf: (db: Database, owner: JobOwner, limit: number) =>
    db.$queryRaw<{ id: string; rollout_id: string }[]>`
      SELECT j.id, j.rollout_id FROM jobs j
      WHERE ${ofDeleted(owner)} AND j.finished_at IS NULL
      ORDER BY j.rollout_id, j.id LIMIT ${limit}`,

  /**
   * Drops the pending baselines of up to `limit` jobs of a rollout, or of all its jobs if `limit` is null. Baselines
   * are measurements that only reports need; dropped ones are never made.
   * @returns the number of jobs whose baselines were dropped
   */
  dropBaselines(tx: Transaction, rolloutId: string, limit: number | null): Promise<number> {
    return tx.$executeRaw`
      UPDATE jobs SET baselines_pending = FALSE, updated_at = clock_timestamp()
      WHERE id IN (
        SELECT id FROM jobs WHERE rollout_id = ${rolloutId} AND baselines_pending
          AND EXISTS (SELECT 1 FROM rollout_counts WHERE rollout_id = ${rolloutId} AND baselines_pending > 0)
        ORDER BY id LIMIT ${limit}::int)`;
  },
};

function ofDeleted(owner: JobOwner): Prisma.Sql {
  if ('adapterId' in owner) {
    const { adapterId: id } = owner;
    return Prisma.sql`j.adapter_id = ${id}
      AND EXISTS (SELECT 1 FROM adapters WHERE id = ${id} AND deleted_at IS NOT NULL)`;
  }
  const { tenantId: id } = owner;
  return Prisma.sql`j.tenant_id = ${id} AND EXISTS (SELECT 1 FROM tenants WHERE id = ${id} AND deleted_at IS NOT NULL)`;
}

import type { Transaction } from '../../platform/database/database.ts';
import type { ChangedJob } from './changed-job.ts';
import { jobCancellationRepository as repository, type JobsToCancel } from './job-cancellation.repository.ts';
import { recordJobChanges } from './job-events.ts';

/**
 * Cancels one job or several jobs, and records the events. If jobs of a rollout are selected by `rolloutId`, the
 * rollout's row must be locked.
 * @returns the changed jobs; `isLast` is true if no selected job is left to cancel
 */
export async function cancelJobs(
  tx: Transaction,
  which: JobsToCancel,
): Promise<{ jobs: ChangedJob[]; isLast: boolean }> {
  const jobs = await repository.cancel(tx, which);
  const limit = 'rolloutId' in which ? (which.limit ?? null) : null;
  const dropped = 'rolloutId' in which ? await repository.dropBaselines(tx, which.rolloutId, limit) : 0;
  await recordJobChanges(tx, jobs);
  return { jobs, isLast: limit === null || (jobs.length < limit && dropped < limit) };
}

/**
 * Finds unfinished jobs of a deleted adapter or tenant, ordered by rollout. The list is empty if the adapter or tenant
 * is not deleted any more.
 */
export const { unfinishedOf } = repository;

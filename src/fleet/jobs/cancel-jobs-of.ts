import type { JobProducer } from '../../platform/queue/producer.ts';
import { withTransaction, type Database } from '../../platform/database/database.ts';
import { jobLifecycleRepository as repository, type JobOwner } from './job-lifecycle.repository.ts';
import { cancelJobs, settleRollout } from './job-lifecycle.ts';

/** Number of jobs that one transaction cancels. */
const BATCH = 500;

/**
 * Cancels all unfinished jobs of an adapter or a tenant that is deleted, in batches that each commit. If the process dies in
 * between, the next call goes on.
 * @returns how many were cancelled
 */
export async function cancelJobsOf(
  { db, producer }: { db: Database; producer: Pick<JobProducer, 'enqueueAfterCommit' | 'remove'> },
  owner: JobOwner,
): Promise<number> {
  let count = 0;
  for (;;) {
    const unfinished = await repository.unfinishedOf(db, owner, BATCH);
    const rolloutId = unfinished[0]?.rollout_id;
    if (rolloutId === undefined) return count;
    const jobIds = unfinished.filter((job) => job.rollout_id === rolloutId).map((job) => job.id);
    const { queued, entries } = await withTransaction(db, async (tx) => {
      await repository.lockRollout(tx, rolloutId);
      const { jobs } = await cancelJobs(tx, { jobIds });
      const settled = await settleRollout(tx, rolloutId);
      return { queued: jobs.filter((job) => job.old_state === 'queued').map((job) => job.id), entries: settled };
    });
    count += jobIds.length;
    await producer.enqueueAfterCommit(entries);
    await producer.remove('adaptations', queued);
  }
}

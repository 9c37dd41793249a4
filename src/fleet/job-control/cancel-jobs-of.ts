import type { QueueProducer } from '../../platform/queue/producer.ts';
import type { Database } from '../../platform/database/database.ts';
import { cancelJobs, unfinishedOf, type JobOwner } from '../jobs/index.ts';
import { changeAndSettle } from '../rollouts/index.ts';

/** Number of jobs that one transaction cancels. */
const BATCH = 500;

/**
 * Cancels all unfinished jobs of a deleted adapter or tenant, in batches that are each committed. If the process dies
 * in between, the next call cancels the rest.
 * @returns the number of cancelled jobs
 */
export async function cancelJobsOf(
  { db, producer }: { db: Database; producer: Pick<QueueProducer, 'enqueueAfterCommit' | 'remove'> },
  owner: JobOwner,
): Promise<number> {
  let count = 0;
  for (;;) {
    const unfinished = await unfinishedOf(db, owner, BATCH);
    const rolloutId = unfinished[0]?.rollout_id;
    if (rolloutId === undefined) return count;
    const jobIds = unfinished.filter((job) => job.rollout_id === rolloutId).map((job) => job.id);
    const { result, entries } = await changeAndSettle(db, rolloutId, (tx) => cancelJobs(tx, { jobIds }));
    const cancelled = result?.jobs ?? [];
    count += jobIds.length;
    await producer.enqueueAfterCommit(entries);
    const queued = cancelled.filter((job) => job.old_state === 'queued').map((job) => job.id);
    await producer.remove('adaptations', queued);
  }
}

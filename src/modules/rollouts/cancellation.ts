import { withTransaction, type Database } from '../../lib/database.ts';
import { cancelJobs } from '../jobs/index.ts';
import { createRolloutRepository } from './rollout.repository.ts';

/** Number of jobs that one transaction cancels. */
const BATCH = 1000;

/**
 * Cancels the jobs of a rollout that was cancelled or has failed, in batches that each commit, so that no transaction holds up a large
 * fleet. If the process dies in between, the next call goes on; workers claim none of the jobs meanwhile. The end of the last
 * batch sets the rollout's `finished_at`.
 * @param onBatch gets the jobs of each batch that were waiting in the queue
 */
export async function cancelInBatches(
  db: Database,
  rolloutId: string,
  onBatch: (queued: readonly string[]) => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const rollouts = createRolloutRepository(db);
  for (;;) {
    const { queued, done } = await withTransaction(db, async (tx) => {
      await rollouts.lock(rolloutId, tx);
      const { jobs, isLast } = await cancelJobs(tx, { rolloutId, limit: BATCH });
      if (isLast) await rollouts.finishStopped(tx, rolloutId);
      return { queued: jobs.filter((job) => job.old_state === 'queued').map((job) => job.id), done: isLast };
    });
    await onBatch(queued);
    if (done) return;
  }
}

import { both } from './both.ts';
import { cancelJobs } from '../jobs/index.ts';
import { createRolloutRepository } from './rollout.repository.ts';
import { withTransaction, type Database } from '../../platform/database/database.ts';

/** Number of jobs that one transaction cancels. */
const BATCH = 1000;

interface Batch {
  /** Identifiers of cancelled jobs whose entries have to be removed from the queue. */
  queued: string[];
  /** Identifier of the last job of the batch, after which the next batch begins; null if this is the last batch. */
  last: string | null;
}

/**
 * Cancels the jobs of a cancelled or failed rollout, in batches that are committed one by one, so that no transaction
 * blocks a large fleet. Workers claim none of these jobs meanwhile. If the process dies in between, the next call
 * cancels the rest. The last batch sets the rollout's `finished_at`.
 * @param onBatch gets the identifiers of a batch's jobs that were waiting in the queue, while the next batch is
 *   cancelled
 */
export async function cancelInBatches(
  db: Database,
  rolloutId: string,
  onBatch: (queued: readonly string[]) => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  let queued: readonly string[] = [];
  let after: string | null = '';
  while (after !== null) {
    const cancelling: Promise<Batch> = cancelBatch(db, rolloutId, after);
    const [batch] = await both(cancelling, queued.length > 0 ? onBatch(queued) : Promise.resolve());
    ({ queued, last: after } = batch);
  }
  await onBatch(queued);
}

function cancelBatch(db: Database, rolloutId: string, after: string): Promise<Batch> {
  const rollouts = createRolloutRepository(db);
  return withTransaction(db, async (tx) => {
    await rollouts.lock(rolloutId, tx);
    const { jobs, isLast } = await cancelJobs(tx, { rolloutId, after, limit: BATCH });
    if (isLast) await rollouts.finishStopped(tx, rolloutId);
    const queued = jobs.filter((job) => job.old_state === 'queued').map((job) => job.id);
    return { queued, last: isLast ? null : jobs.reduce((last, { id }) => (id > last ? id : last), after) };
  });
}

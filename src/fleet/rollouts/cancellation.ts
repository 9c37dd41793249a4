import { both } from './both.ts';
import { cancelJobs } from '../jobs/index.ts';
import { createRolloutRepository } from './rollout.repository.ts';
import { withTransaction, type Database } from '../../platform/database/database.ts';

/** Number of jobs that one transaction cancels by default. */
const BATCH = 1000;

interface CancellationOptions {
  /**
   * Receives the identifiers of those jobs of a batch that were waiting in the queue. The next batch, if there is one,
   * is cancelled at the same time.
   */
  readonly onBatch?: (queued: readonly string[]) => Promise<void>;
  /** Number of jobs that one transaction cancels; 1,000 by default. */
  readonly batchSize?: number;
}

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
 */
export async function cancelInBatches(
  db: Database,
  rolloutId: string,
  { onBatch = () => Promise.resolve(), batchSize = BATCH }: CancellationOptions = {},
): Promise<void> {
  let queued: readonly string[] = [];
  let after: string | null = '';
  while (after !== null) {
    const cancelling: Promise<Batch> = cancelBatch(db, rolloutId, { after, limit: batchSize });
    const [batch] = await both(cancelling, queued.length > 0 ? onBatch(queued) : Promise.resolve());
    ({ queued, last: after } = batch);
  }
  await onBatch(queued);
}

function cancelBatch(db: Database, rolloutId: string, page: { after: string; limit: number }): Promise<Batch> {
  const rollouts = createRolloutRepository(db);
  return withTransaction(db, async (tx) => {
    await rollouts.lock(rolloutId, tx);
    const { jobs, isLast } = await cancelJobs(tx, { rolloutId, ...page });
    if (isLast) await rollouts.finishStopped(tx, rolloutId);
    const queued = jobs.filter((job) => job.old_state === 'queued').map((job) => job.id);
    return { queued, last: isLast ? null : jobs.reduce((last, { id }) => (id > last ? id : last), page.after) };
  });
}

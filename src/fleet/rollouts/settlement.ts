import { recordRolloutEnd } from '../../delivery/events/index.ts';
import { withTransaction, type Database, type Transaction } from '../../platform/database/database.ts';
import type { QueueEntry } from '../../platform/queue/catalog.ts';
import { noteDeadline } from './limits/limits.ts';
import { admitJobs } from './order/admission.ts';
import { settlementRepository as repository } from './settlement.repository.ts';
import { stepWaves } from './waves/waves.ts';

/**
 * Locks a rollout whose jobs are about to change. If the last two jobs end at once, the second transaction sees the end
 * of the first.
 * @returns its state; an empty text if it does not exist
 */
export const lockRollout = (tx: Transaction, rolloutId: string): Promise<string> =>
  repository.lockRollout(tx, rolloutId);

/**
 * Updates a rollout after its jobs have changed: judges the wave, releases the next wave or completes the rollout if
 * the jobs have ended, and admits jobs that wait because of limited concurrency. The rollout's row must be locked.
 * @returns queue entries to enqueue, like {@link admitJobs}
 */
export async function settleRollout(tx: Transaction, rolloutId: string): Promise<QueueEntry[]> {
  await noteDeadline(tx, rolloutId);
  await stepWaves(tx, rolloutId);
  const completed = await repository.completeRollout(tx, rolloutId);
  if (completed === null) return admitJobs(tx, rolloutId);
  await recordRolloutEnd(tx, { type: 'rollout.completed', subjectId: rolloutId, data: { from: 'adapting' } });
  return [];
}

/** Settles a rollout in a transaction that locks it. @returns entries to enqueue, like {@link settleRollout} */
export function lockAndSettle(db: Database, rolloutId: string): Promise<QueueEntry[]> {
  return withTransaction(db, async (tx) => {
    await lockRollout(tx, rolloutId);
    return settleRollout(tx, rolloutId);
  });
}

/**
 * Changes jobs of a rollout in a transaction that locks it, and settles it afterwards.
 * @param change returns null if nothing was changed; the rollout is then left alone
 * @returns the result of the change, and the entries to enqueue after the commit
 */
export function changeAndSettle<T>(
  db: Database,
  rolloutId: string,
  change: (tx: Transaction) => Promise<T | null>,
): Promise<{ result: T | null; entries: QueueEntry[] }> {
  return withTransaction(db, async (tx) => {
    await lockRollout(tx, rolloutId);
    const result = await change(tx);
    return { result, entries: result === null ? [] : await settleRollout(tx, rolloutId) };
  });
}

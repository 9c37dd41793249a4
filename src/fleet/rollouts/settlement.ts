import { recordRolloutEnd } from '../../delivery/events/index.ts';
import { withTransaction, type Database, type Transaction } from '../../platform/database/database.ts';
import type { QueueEntry } from '../../platform/queue/catalog.ts';
import { noteDeadline } from './limits/limits.ts';
import { admitJobs } from './order/admission.ts';
import { settlementRepository as repository } from './settlement.repository.ts';
import { stepWaves } from './waves/waves.ts';

/**
 * Locks a rollout's row before jobs of the rollout change. If its last two jobs end at the same time, the second
 * transaction therefore sees the end of the first.
 * @returns the state of the rollout; an empty text if it does not exist
 */
export const lockRollout = (tx: Transaction, rolloutId: string): Promise<string> =>
  repository.lockRollout(tx, rolloutId);

/**
 * Brings a rollout up to date after its jobs have changed: notes a missed deadline, judges the budget and the running
 * wave, releases the next wave, and completes the rollout or admits waiting jobs. The rollout's row must be locked.
 * @returns the queue entries to add after the commit; they are already in the outbox
 */
export async function settleRollout(tx: Transaction, rolloutId: string): Promise<QueueEntry[]> {
  await noteDeadline(tx, rolloutId);
  await stepWaves(tx, rolloutId);
  const completed = await repository.completeRollout(tx, rolloutId);
  if (completed === null) return admitJobs(tx, rolloutId);
  await recordRolloutEnd(tx, { type: 'rollout.completed', subjectId: rolloutId, data: { from: 'adapting' } });
  return [];
}

/**
 * Locks a rollout and brings it up to date by {@link settleRollout}.
 * @returns the queue entries to add
 */
export function lockAndSettle(db: Database, rolloutId: string): Promise<QueueEntry[]> {
  return withTransaction(db, async (tx) => {
    await lockRollout(tx, rolloutId);
    return settleRollout(tx, rolloutId);
  });
}

/**
 * Changes jobs of a rollout in a transaction that locks the rollout, and then brings it up to date by {@link
 * settleRollout}.
 * @param change returns null if it has changed nothing; then the rollout is left as it is
 * @returns the result of the change, and the queue entries to add after the commit
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

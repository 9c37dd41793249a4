import type { Transaction } from '../../../platform/database/database.ts';
import { recordEvent } from '../../../delivery/events/index.ts';
import { limitsRepository as repository } from './limits.repository.ts';
import type { RolloutPolicy } from '../policy.schemas.ts';

/** Reason for pausing a rollout whose jobs have used more device time than its budget. */
export interface SpentBudget {
  readonly code: 'budget_spent';
  readonly message: string;
  /** Device time that the rollout's jobs have used, in seconds; `limit` is the budget, in seconds as well. */
  readonly value: number;
  readonly limit: number;
}

/**
 * Records a missed deadline of a rollout, unless it was recorded before. Does nothing if the deadline is not missed.
 * The rollout goes on in any case. The rollout's row must be locked.
 */
export async function noteDeadline(tx: Transaction, id: string): Promise<void> {
  const missed = await repository.noteMissedDeadline(tx, id);
  if (missed === null) return;
  const data = { deadline: missed.deadline.toISOString(), unfinished: missed.unfinished };
  await recordEvent(tx, { tenantId: null, type: 'rollout.deadline_missed', subjectId: id, data });
}

/**
 * Checks whether a rollout has used more device time than its budget and would use still more.
 * @returns the reason to pause the rollout; null if it has no budget, is within it, or has no unfinished jobs
 */
export async function judgeBudget(tx: Transaction, id: string, policy: RolloutPolicy): Promise<SpentBudget | null> {
  const limit = policy.budget_device_seconds;
  if (limit === undefined) return null;
  const { used, goes_on: goesOn } = await repository.budgetUse(tx, id);
  if (used <= limit || !goesOn) return null;
  const value = Number(used.toFixed(3));
  const message =
    `its jobs have used ${value} device seconds, more than their budget of ${limit}; ` +
    'resume the rollout to give it the same budget once more, or cancel it';
  return { code: 'budget_spent', message, value, limit };
}

import type { Transaction } from '../../../platform/database/database.ts';
import { conflict } from '../../../platform/contract/errors.ts';
import { recordEvent } from '../../../delivery/events/index.ts';
import { judgeBudget, type SpentBudget } from '../limits/limits.ts';
import { describeTripped, judgeWave, type TrippedCondition } from './pause-if.ts';
import { wavesRepository as repository, type WavedRollout } from './waves.repository.ts';

/** Reason why a rollout is paused. The codes are part of the API and do not change. */
export type PausedReason =
  | { readonly code: 'requested'; readonly message: string }
  | SpentBudget
  | { readonly code: 'approval_refused'; readonly message: string; readonly wave: number }
  | (TrippedCondition & {
      readonly code: 'pause_if';
      readonly message: string;
      readonly wave: number;
      /** Number of ended jobs from which `value` was computed. */
      readonly jobs: number;
    });

/**
 * Marks a rollout as paused; its jobs are paused in later transactions. Returns false, and changes nothing, if the
 * rollout is paused already or has ended. Its row must be locked.
 */
export async function markRolloutPaused(
  tx: Transaction,
  id: string,
  from: string,
  reason: PausedReason,
): Promise<boolean> {
  if (!(await repository.pauseRollout(tx, id, { ...reason }))) return false;
  const data = { from, reason: { ...reason } };
  await recordEvent(tx, { tenantId: null, type: 'rollout.paused', subjectId: id, data });
  return true;
}

/**
 * Judges the budget and the running wave of a rollout. Pauses the rollout if its budget is spent or the wave violates a
 * condition of `pause_if`. Otherwise, if all jobs of the wave have ended, releases the next wave or lets it wait for
 * its approval. Does nothing for a rollout without a policy. The rollout's row must be locked.
 */
export async function stepWaves(tx: Transaction, id: string): Promise<void> {
  const rollout = await repository.find(tx, id);
  if (rollout === null) return;
  const spent = await judgeBudget(tx, id, rollout.policy);
  if (spent !== null) {
    await markRolloutPaused(tx, id, rollout.state, spent);
    return;
  }
  const hasEnded = rollout.state === 'adapting' && (await repository.hasEnded(tx, id));
  // The last wave has ended, so a pause could no longer prevent any harm.
  if (hasEnded && rollout.wave >= rollout.waves) return;
  const reason = await reasonToPause(tx, id, rollout, hasEnded);
  if (reason !== null) {
    await markRolloutPaused(tx, id, rollout.state, reason);
    return;
  }
  if (!hasEnded || rollout.awaiting_approval) return;
  if ((rollout.policy.approve ?? 'auto') === 'auto' || rollout.wave === 0) return releaseWave(tx, id, rollout.wave + 1);
  await repository.awaitApproval(tx, id);
  const data = { wave: rollout.wave + 1 };
  await recordEvent(tx, { tenantId: null, type: 'rollout.wave_waiting', subjectId: id, data });
}

async function reasonToPause(
  tx: Transaction,
  id: string,
  { wave, waived_wave: waived, policy }: WavedRollout,
  hasEnded: boolean,
): Promise<PausedReason | null> {
  if (policy.pause_if === undefined || wave <= waived) return null;
  const figures = await repository.figures(tx, id, wave);
  const tripped = judgeWave(policy.pause_if, figures, hasEnded);
  if (tripped === null) return null;
  const { ended: jobs } = figures;
  return { code: 'pause_if', message: describeTripped(tripped, wave, jobs), ...tripped, wave, jobs };
}

async function releaseWave(tx: Transaction, id: string, wave: number): Promise<void> {
  await repository.release(tx, id);
  await recordEvent(tx, { tenantId: null, type: 'rollout.wave_released', subjectId: id, data: { wave } });
}

/**
 * Releases a wave that waits for an approval. The rollout's row must be locked.
 * @returns false if the wave is released already
 * @throws AppError 409 `wave_not_waiting`
 */
export async function approveWave(tx: Transaction, id: string, wave: number): Promise<boolean> {
  const rollout = await repository.find(tx, id);
  if (rollout !== null && wave <= rollout.wave) return false;
  if (rollout === null || !rollout.awaiting_approval || wave !== rollout.wave + 1) {
    throw conflict('wave_not_waiting', `wave ${wave} of rollout ${id} does not wait for an approval`);
  }
  await releaseWave(tx, id, wave);
  return true;
}

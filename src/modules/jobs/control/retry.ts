import type { JobEntry } from '../../../jobs/catalog.ts';
import type { Transaction } from '../../../lib/database.ts';
import { conflict } from '../../../lib/errors.ts';
import { recordEvent } from '../../events/index.ts';
import type { ChangedJob } from '../job-lifecycle.repository.ts';
import { recordJobChanges } from '../job-lifecycle.ts';
import { lockStartTags, queueJobs } from '../order/admission.ts';
import { retryRepository as repository } from './retry.repository.ts';

export interface JobToRetry {
  readonly id: string;
  readonly rolloutId: string;
  /** The state of the rollout, whose row is locked. */
  readonly rolloutState: string;
}

/**
 * Begins a job anew that has ended without a publication. A completed rollout goes on then.
 * @throws AppError 409 `rollout_paused`, `rollout_ended`, `rollout_exists`, `source_deleted`, `already_carried_over`, `superseded`,
 *   `adapter_pinned` or `job_not_ended`
 */
export async function retryJob(
  tx: Transaction,
  { id, rolloutId, rolloutState }: JobToRetry,
): Promise<{ job: ChangedJob; entries: JobEntry[] }> {
  requireGoingOn(rolloutId, rolloutState);
  const { sourceGone, carriedOver, newerRollout, pinned } = await repository.obstacles(tx, id);
  if (sourceGone)
    throw conflict('source_deleted', `job ${id} cannot be retried: the version that it starts from is deleted`);
  if (carriedOver) {
    throw conflict('already_carried_over', `job ${id} cannot be retried: another rollout has carried its adapter over`);
  }
  if (pinned) {
    const message = `job ${id} cannot be retried: its adapter is pinned to another base model version, clear the pin first`;
    throw conflict('adapter_pinned', message);
  }
  if (newerRollout !== null) {
    const message = `job ${id} cannot be retried: rollout ${newerRollout} carries its adapter over to a newer base model version`;
    throw conflict('superseded', message, { rollout_id: newerRollout });
  }
  await lockStartTags(tx);
  const job = await repository.retry(tx, { id, rolloutId });
  if (job === null) {
    throw conflict('job_not_ended', `job ${id} cannot be retried: it has not ended as not_ready, failed or cancelled`);
  }
  if (rolloutState === 'completed') await reopen(tx, rolloutId);
  await recordJobChanges(tx, [job]);
  return { job, entries: await queueJobs(tx, rolloutId, [job]) };
}

function requireGoingOn(rolloutId: string, state: string): void {
  if (state === 'paused') throw conflict('rollout_paused', `rollout ${rolloutId} is paused: resume it first`);
  if (state === 'cancelled' || state === 'failed') {
    throw conflict(
      'rollout_ended',
      `rollout ${rolloutId} is ${state}: start another one, which takes the adapters that have no version yet`,
    );
  }
}

async function reopen(tx: Transaction, rolloutId: string): Promise<void> {
  const other = await repository.otherRollout(tx, rolloutId);
  if (other !== null) {
    const message = `rollout ${rolloutId} is completed, and rollout ${other} carries the fleet over to the same version now`;
    throw conflict('rollout_exists', message, { rollout_id: other });
  }
  await repository.reopenRollout(tx, rolloutId);
  const data = { from: 'completed' };
  await recordEvent(tx, { tenantId: null, type: 'rollout.adapting', subjectId: rolloutId, data });
}

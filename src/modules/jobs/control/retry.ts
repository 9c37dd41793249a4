import type { JobEntry } from '../../../jobs/catalog.ts';
import type { Transaction } from '../../../lib/database.ts';
import { camelCase, resolveJobOptions } from '../../../../core/options/job-settings.ts';
import type { GivenJobOptions } from '../../../../core/options/job-options.ts';
import { conflict, unprocessable } from '../../../lib/errors.ts';
import { recordEvent } from '../../events/index.ts';
import type { ChangedJob } from '../job-lifecycle.repository.ts';
import { recordJobChanges } from '../job-lifecycle.ts';
import { lockStartTags, queueJobs } from '../order/admission.ts';
import { retryRepository as repository, type KeptOptions } from './retry.repository.ts';
import type { OwnOptions } from './retry.schemas.ts';

/** What of a job is other when it is retried. */
export interface RetryChanges {
  /** In place of what options it has of its own; undefined keeps them. */
  readonly options?: OwnOptions;
  /** An operator may give a job more to do than its rollout does. */
  readonly isOperator: boolean;
}

export interface JobToRetry extends RetryChanges {
  readonly id: string;
  readonly rolloutId: string;
  /** The state of the rollout, whose row is locked. */
  readonly rolloutState: string;
}

/**
 * Begins a job anew that has ended without a publication. A completed rollout goes on then. As when it was planned, the job waits for one
 * of its adapter to an older base model version.
 * @throws AppError 422 `invalid_options`, 409 `rollout_paused`, `rollout_ended`, `rollout_exists`, `source_deleted`,
 *   `already_carried_over`, `superseded`, `adapter_pinned` or `job_not_ended`
 */
export async function retryJob(
  tx: Transaction,
  { id, rolloutId, rolloutState, options, isOperator }: JobToRetry,
): Promise<{ job: ChangedJob; entries: JobEntry[] }> {
  requireGoingOn(rolloutId, rolloutState);
  const { sourceGone, carriedOver, newerRollout, pinned, kind, rolledOut } = await repository.obstacles(tx, id);
  if (options !== undefined) requireAllowed(options, { kind, limits: isOperator ? null : rolledOut });
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
  await repository.waitForOlder(tx, id);
  const kept = options === undefined ? null : ownOptions(options, rolledOut);
  const job = await repository.retry(tx, { id, rolloutId, kept });
  if (job === null) {
    throw conflict('job_not_ended', `job ${id} cannot be retried: it has not ended as not_ready, failed or cancelled`);
  }
  if (rolloutState === 'completed') await reopen(tx, rolloutId);
  await recordJobChanges(tx, [job]);
  return { job, entries: await queueJobs(tx, rolloutId, [job]) };
}

/** What costs time on a device. */
const BUDGETS = ['max_steps', 'search_evaluations'] as const;

/** A control trains from scratch, whatever is asked for. What a tenant asks for must not cost more than the rollout does. */
function requireAllowed(
  options: OwnOptions,
  { kind, limits }: { readonly kind: string; readonly limits: GivenJobOptions | null },
): void {
  if (kind === 'control' && options.strategy !== undefined) {
    throw unprocessable(
      'invalid_options',
      'strategy is given for a control, expected none: a control trains from scratch',
    );
  }
  const most = limits && resolveJobOptions(limits, { control: false, hiddenSize: 1 });
  for (const option of BUDGETS) {
    const [given, limit] = [options[option], most?.[camelCase(option) as 'maxSteps' | 'searchEvaluations']];
    if (given === undefined || limit === undefined || given <= limit) continue;
    const message = `${option} is ${given}, expected at most ${limit}, which the rollout has: the operator may give the job more`;
    throw unprocessable('invalid_options', message, { option, limit });
  }
}

/** Options as the job's row keeps them; none are kept as null. The strategy has a column of its own as well. */
function ownOptions(options: OwnOptions, rolledOut: GivenJobOptions): KeptOptions {
  const given = Object.values(options).some((value) => value !== undefined);
  return { options: given ? options : null, strategy: options.strategy ?? rolledOut.strategy ?? 'auto' };
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

import type { QueueEntry } from '../../../platform/queue/catalog.ts';
import type { Transaction } from '../../../platform/database/database.ts';
import { camelCase, resolveJobOptions } from '../../../../core/options/job-settings.ts';
import type { GivenJobOptions } from '../../../../core/options/job-options.ts';
import { conflict, unprocessable, type AppError } from '../../../platform/contract/errors.ts';
import { recordEvent } from '../../../delivery/events/index.ts';
import { type ChangedJob, recordJobChanges, type OwnOptions } from '../../jobs/index.ts';
import { inOrder, lockStartTags, queueJobs } from '../../rollouts/index.ts';
import { retryRepository as repository, type KeptOptions, type Obstacles } from './retry.repository.ts';

/** Changes that a request makes to a job which it retries. */
export interface RetryChanges {
  /** Options that replace the job's own; undefined if the job keeps its own. */
  readonly options?: OwnOptions;
  /** Whether the operator sent the request. Only the operator may give a job a larger budget than its rollout gives. */
  readonly isOperator: boolean;
}

/** Rollout of the jobs to retry, whose row is locked, with the requested changes to the jobs. */
export interface RetryOf extends RetryChanges {
  readonly rolloutId: string;
  readonly rolloutState: string;
}

/**
 * Result of judging whether jobs may be retried: the error for each refused job, by its identifier, and the options
 * that {@link beginAnew} gives the others.
 */
interface JudgedRetries {
  readonly refused: ReadonlyMap<string, AppError>;
  readonly kept: KeptOptions | null;
}

/**
 * Restarts a job that has ended without a publication. If its rollout is completed, the rollout is reopened. While
 * another job carries the same adapter over to an older base model version, the restarted job waits for it, as in
 * planning.
 * @throws AppError 422 `invalid_options`, 409 `rollout_paused`, `rollout_ended`, `rollout_exists`, `source_deleted`,
 *   `already_carried_over`, `superseded`, `adapter_pinned` or `job_not_ended`
 */
export async function retryJob(
  tx: Transaction,
  { id, ...retry }: RetryOf & { readonly id: string },
): Promise<{ job: ChangedJob; entries: QueueEntry[] }> {
  const { refused, kept } = await judgeRetries(tx, [id], retry);
  const refusal = refused.get(id);
  if (refusal !== undefined) throw refusal;
  const { jobs, entries } = await beginAnew(tx, [id], { ...retry, kept });
  const [job] = jobs;
  if (job === undefined) throw notEnded(id);
  return { job, entries };
}

/** Judges which jobs of a rollout may be retried. Changes nothing. */
export async function judgeRetries(
  tx: Transaction,
  ids: readonly string[],
  { rolloutId, rolloutState, options, isOperator }: RetryOf,
): Promise<JudgedRetries> {
  const rolledOut = await repository.jobOptions(tx, rolloutId);
  const kept = options === undefined ? null : ownOptions(options, rolledOut);
  const ofRollout = stopped(rolloutId, rolloutState);
  if (ofRollout !== null) return { refused: new Map(ids.map((id) => [id, ofRollout])), kept };
  const other = rolloutState === 'completed' ? await otherRollout(tx, rolloutId) : null;
  const limits = isOperator ? null : rolledOut;
  const refused = new Map<string, AppError>();
  for (const job of await repository.obstacles(tx, ids)) {
    const notAllowed = options === undefined ? null : refuseOptions(options, { kind: job.kind, limits });
    const refusal = notAllowed ?? refuseJob(job) ?? other;
    if (refusal !== null) refused.set(job.id, refusal);
  }
  return { refused, kept };
}

/**
 * Restarts jobs that {@link judgeRetries} has not refused, and records their events. After the commit the caller has to
 * enqueue `entries`.
 */
export async function beginAnew(
  tx: Transaction,
  ids: readonly string[],
  { rolloutId, rolloutState, kept }: Pick<RetryOf, 'rolloutId' | 'rolloutState'> & Pick<JudgedRetries, 'kept'>,
): Promise<{ jobs: ChangedJob[]; entries: QueueEntry[] }> {
  await lockStartTags(tx);
  await repository.waitForOlder(tx, ids);
  const jobs = inOrder(await repository.retry(tx, { ids, rolloutId, kept }));
  if (rolloutState === 'completed' && jobs.length > 0) await reopen(tx, rolloutId);
  await recordJobChanges(tx, jobs);
  return { jobs, entries: await queueJobs(tx, rolloutId, jobs) };
}

function refuseJob(job: Obstacles): AppError | null {
  const cannot = `job ${job.id} cannot be retried`;
  if (job.source_gone) return conflict('source_deleted', `${cannot}: the version that it starts from is deleted`);
  if (job.carried_over) {
    return conflict('already_carried_over', `${cannot}: another rollout has carried its adapter over`);
  }
  if (job.pinned) {
    return conflict(
      'adapter_pinned',
      `${cannot}: its adapter is pinned to another base model version, clear the pin first`,
    );
  }
  if (job.newer_rollout !== null) {
    const message = `${cannot}: rollout ${job.newer_rollout} carries its adapter over to a newer base model version`;
    return conflict('superseded', message, { rollout_id: job.newer_rollout });
  }
  return job.has_ended ? null : notEnded(job.id);
}

function notEnded(id: string): AppError {
  return conflict('job_not_ended', `job ${id} cannot be retried: it has not ended as not_ready, failed or cancelled`);
}

/** Names of the options that limit how much device time a job uses. */
const BUDGETS = ['max_steps', 'search_evaluations'] as const;

/**
 * Returns an error for options that a retried job cannot have, null for others. A control always trains from scratch,
 * so it can have no strategy. A job retried by a tenant must not have a larger budget than its rollout gives.
 */
function refuseOptions(
  options: OwnOptions,
  { kind, limits }: { readonly kind: string; readonly limits: GivenJobOptions | null },
): AppError | null {
  if (kind === 'control' && options.strategy !== undefined) {
    return unprocessable(
      'invalid_options',
      'strategy is given for a control, expected none: a control trains from scratch',
    );
  }
  const most = limits && resolveJobOptions(limits, { control: false, hiddenSize: 1 });
  for (const option of BUDGETS) {
    const [given, limit] = [options[option], most?.[camelCase(option) as 'maxSteps' | 'searchEvaluations']];
    if (given === undefined || limit === undefined || given <= limit) continue;
    const message =
      `${option} is ${given}, expected at most ${limit}, which the rollout has: ` +
      'the operator may give the job more';
    return unprocessable('invalid_options', message, { option, limit });
  }
  return null;
}

/**
 * Converts requested options to the form that the job's row stores; its `options` are null if none are given. The
 * strategy is also stored in a column of its own.
 */
function ownOptions(options: OwnOptions, rolledOut: GivenJobOptions): KeptOptions {
  const given = Object.values(options).some((value) => value !== undefined);
  return { options: given ? options : null, strategy: options.strategy ?? rolledOut.strategy ?? 'auto' };
}

/**
 * Returns the error for retries in a rollout that is paused, cancelled or failed; null for a rollout in any other
 * state.
 */
function stopped(rolloutId: string, state: string): AppError | null {
  if (state === 'paused') return conflict('rollout_paused', `rollout ${rolloutId} is paused: resume it first`);
  if (state !== 'cancelled' && state !== 'failed') return null;
  const advice = 'start another one, which takes the adapters that have no version yet';
  return conflict('rollout_ended', `rollout ${rolloutId} is ${state}: ${advice}`);
}

/**
 * Returns an error if another rollout to the same base model version has not ended, because a completed rollout cannot
 * reopen beside it; null if there is none.
 */
async function otherRollout(tx: Transaction, rolloutId: string): Promise<AppError | null> {
  const other = await repository.otherRollout(tx, rolloutId);
  if (other === null) return null;
  const reason = `rollout ${other} carries the fleet over to the same version now`;
  return conflict('rollout_exists', `rollout ${rolloutId} is completed, and ${reason}`, { rollout_id: other });
}

async function reopen(tx: Transaction, rolloutId: string): Promise<void> {
  await repository.reopenRollout(tx, rolloutId);
  const data = { from: 'completed' };
  await recordEvent(tx, { tenantId: null, type: 'rollout.adapting', subjectId: rolloutId, data });
}

import type { QueueEntry } from '../../../platform/queue/catalog.ts';
import type { Transaction } from '../../../platform/database/database.ts';
import { camelCase, resolveJobOptions } from '../../../../core/options/job-settings.ts';
import type { GivenJobOptions } from '../../../../core/options/job-options.ts';
import { conflict, unprocessable, type AppError } from '../../../platform/contract/errors.ts';
import { recordEvent } from '../../../delivery/events/index.ts';
import { type ChangedJob, recordJobChanges, type OwnOptions } from '../../jobs/index.ts';
import { inOrder, lockStartTags, queueJobs } from '../../rollouts/index.ts';
import { retryRepository as repository, type KeptOptions, type Obstacles } from './retry.repository.ts';

/** Requested differences of a retried job. */
export interface RetryChanges {
  /** New options of the job in place of its own; undefined keeps them. */
  readonly options?: OwnOptions;
  /** An operator may give a job a larger budget than its rollout does; a tenant may not. */
  readonly isOperator: boolean;
}

/** Rollout of the jobs to retry, whose row is locked, and the requested differences. */
export interface RetryOf extends RetryChanges {
  readonly rolloutId: string;
  readonly rolloutState: string;
}

/**
 * Verdict on jobs to retry: the refused ones with their reasons, and the options for the others, as {@link beginAnew}
 * takes them.
 */
interface JudgedRetries {
  readonly refused: ReadonlyMap<string, AppError>;
  readonly kept: KeptOptions | null;
}

/**
 * Restarts a job that has ended without a publication. A completed rollout reopens. As in the original planning, the
 * job waits for an unfinished job of its adapter to an older base model version.
 * @throws AppError 422 `invalid_options`, 409 `rollout_paused`, `rollout_ended`, `rollout_exists`, `source_deleted`,
 * `already_carried_over`, `superseded`, `adapter_pinned` or `job_not_ended`
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

/** Judges which jobs of a rollout may be retried, without changing anything. */
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
 * Restarts jobs that {@link judgeRetries} has not refused and records their events. After the commit the caller
 * enqueues `entries`.
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

/** Options that cost device time. */
const BUDGETS = ['max_steps', 'search_evaluations'] as const;

/**
 * Refuses options that a job cannot take. A control always trains from scratch, and a tenant must not spend more than
 * the rollout does.
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

/** Options in the form that the job's row stores; null if there are none. The strategy also has a column of its own. */
function ownOptions(options: OwnOptions, rolledOut: GivenJobOptions): KeptOptions {
  const given = Object.values(options).some((value) => value !== undefined);
  return { options: given ? options : null, strategy: options.strategy ?? rolledOut.strategy ?? 'auto' };
}

/** Error if no job of the rollout can be retried; null if the rollout is running or completed. */
function stopped(rolloutId: string, state: string): AppError | null {
  if (state === 'paused') return conflict('rollout_paused', `rollout ${rolloutId} is paused: resume it first`);
  if (state !== 'cancelled' && state !== 'failed') return null;
  const advice = 'start another one, which takes the adapters that have no version yet';
  return conflict('rollout_ended', `rollout ${rolloutId} is ${state}: ${advice}`);
}

/** Error if another rollout to the same version is running, since a completed rollout cannot reopen beside it. */
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

import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import os from 'node:os';
import { readModelConfig } from '../../core/formats/hugging-face/model-weights.ts';
import {
  attemptEnd,
  limitStarts,
  PermanentError,
  TryLaterError,
  type HandlerContext,
  type HandlerSet,
  type QueueProducer,
} from '../../src/platform/queue/index.ts';
import { NO_QUOTAS, type QuotaLimits } from '../../src/platform/config/quotas.ts';
import type { Database } from '../../src/platform/database/database.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { inSpan, NO_TRACING, type SpanAttributes, type Tracing } from '../../src/platform/tracing/tracing.ts';
import { createJobRooms } from '../../src/tenants/quotas/index.ts';
import {
  createJobLifecycle,
  LeaseLostError,
  type JobLifecycle,
  type JobLease,
} from '../../src/fleet/job-control/index.ts';
import type { ChangedJob } from '../../src/fleet/jobs/index.ts';
import { followInBatches, isWaiting, releaseAfter, type StoredOptions } from '../../src/fleet/rollouts/index.ts';
import { BaseAvailability } from '../bases/base-availability.ts';
import { FOLDERS_ONLY, type LocalBases } from '../bases/local-bases.ts';
import { acquireDevice, classifyError } from '../faults/handler-faults.ts';
import { storedProblem } from '../faults/stored-problem.ts';
import type { WorkerMetrics } from '../metrics/worker-metrics.ts';
import type { TrainingProcess, TrainingSlot } from '../training/training-process.ts';
import { adaptationRepository } from './adaptation.repository.ts';
import type { JobFolders } from './build-job-spec.ts';
import { createJobChoice, type JobChoice } from './job-choice.ts';
import { leavingUnreadable } from './leave-unreadable.ts';
import { ASK_AGAIN_MS, INSUFFICIENT_MEMORY, MemoryCheck, type WorkerMemory } from './memory-check.ts';
import { runJob } from './run-job.ts';
import { removeJobFolder } from './work-dir.ts';

export interface AdaptationDependencies extends JobFolders {
  db: Database;
  producer: QueueProducer;
  training: TrainingProcess;
  /** Tracker of the jobs that need more memory than this worker has. Default: every job counts as fitting. */
  check?: MemoryCheck;
  /** Quotas that apply to tenants without quotas of their own. Default: no limits. */
  quotas?: QuotaLimits;
  /** Tracker of the base model versions whose files this worker has recently failed to read. */
  availability?: BaseAvailability;
  /** Id of this worker in the list of workers; null if it is not listed. */
  workerId?: string | null;
  /** Counters and timings of jobs, for the worker's metrics. Default: nothing is counted. */
  metrics?: Pick<WorkerMetrics, 'jobs' | 'attemptFailed'>;
  /** Tracing of jobs as spans. Default: nothing is traced. */
  tracing?: Tracing;
  /** Called with the training speed of each job, in tokens per second. */
  onTrained?: (tokensPerSecond: number) => void;
  leaseMs?: number;
  heartbeatMs?: number;
  /**
   * Interval at which a job that needs more memory than this worker has is tried again, in milliseconds (default
   * 15,000).
   */
  askAgainMs?: number;
}

/** Makes the handler of the queue entry `adaptation.run`, which runs an adaptation job or a control. */
export function adaptationHandlers(deps: AdaptationDependencies): HandlerSet {
  const lifecycle = createJobLifecycle({ db: deps.db, leaseMs: deps.leaseMs, observer: deps.metrics?.jobs });
  const choice = createJobChoice(deps);
  const { db, check = new MemoryCheck(UNLIMITED), availability = new BaseAvailability(), workerId = null } = deps;
  const { local = FOLDERS_ONLY, askAgainMs = ASK_AGAIN_MS } = deps;
  return {
    'adaptation.run': ({ jobId }, context) =>
      leavingUnreadable({ db, availability, local, workerId }, jobId, context, async () => {
        await leaveToLarger({ db, check, local, askAgainMs, logger: context.logger }, jobId);
        // Waiting for the device counts as `queue_wait`, because the job's clock changes phase only with the claim.
        const slot = await acquireDevice(deps.training, context.signal);
        try {
          await choice.leaveToBetter(jobId);
          const lease: JobLease = { jobId, owner: `${os.hostname()}:${process.pid}:${randomUUID()}` };
          const claimed = await lifecycle.claim(lease);
          if (claimed === null) await leaveToHolder(db, jobId);
          else await work({ ...deps, askAgainMs, workerId, check, choice, lifecycle, slot, lease, claimed, context });
        } finally {
          slot.release();
        }
      }),
  };
}

interface Leaving {
  db: Database;
  check: MemoryCheck;
  local: LocalBases;
  askAgainMs: number;
  logger: Logger;
}

const UNLIMITED: WorkerMemory = { available: { bytes: Infinity, source: 'no limit' }, precision: 'auto' };

/**
 * Puts a job that does not fit into this worker's memory back into the queue for a worker with more memory, and stores
 * the reason in the job's row. If no worker has taken the job after ten minutes, this worker claims it and fails it
 * with that reason.
 * @throws TryLaterError
 */
async function leaveToLarger({ db, check, local, askAgainMs, logger }: Leaving, jobId: string): Promise<void> {
  if (check.isHopeless(jobId)) return;
  const reason = check.refusalOf(jobId) ?? (await objection({ db, check, local }, jobId));
  if (reason === null) return;
  if (check.refuse(jobId, reason)) logger.warn({ jobId, reason }, 'job left to another worker');
  await adaptationRepository.noteWaiting(db, jobId, { ...storedProblem(tooLittleMemory(reason)) });
  throw new TryLaterError(reason, askAgainMs);
}

function tooLittleMemory(reason: string): PermanentError {
  return new PermanentError(reason, { code: INSUFFICIENT_MEMORY });
}

async function objection(
  { db, check, local }: { db: Database; check: MemoryCheck; local: LocalBases },
  jobId: string,
): Promise<string | null> {
  const [newBase] = await adaptationRepository.bases(db, jobId);
  // If the folder cannot be read, the job itself reports that.
  const config = newBase === undefined ? null : await readModelConfig(local.locate(newBase).path).catch(() => null);
  return config && check.objectionTo(config);
}

/**
 * Ends the handling of a job that this worker could not claim. If the job has ended, its queue entry is done; if
 * another worker holds the job, the entry is tried again later.
 * @throws TryLaterError if another worker holds the job
 */
async function leaveToHolder(db: Database, jobId: string): Promise<void> {
  const leftMs = await adaptationRepository.leaseLeft(db, jobId);
  if (leftMs !== null) throw new TryLaterError(`job ${jobId} is held by another worker`, Math.max(0, leftMs) + 500);
}

/**
 * Puts a job back into the queue if it was paused and resumed while this worker was still stopping it. The queue allows
 * one entry for each job, so it has accepted no new entry at the resumption.
 * @throws TryLaterError
 */
async function leaveToNext(db: Database, jobId: string): Promise<void> {
  if (await isWaiting(db, jobId)) throw new TryLaterError(`job ${jobId} was resumed`, 0);
}

/** Job that this worker has claimed, with everything needed to run it. */
interface Claim extends Omit<AdaptationDependencies, 'availability'> {
  askAgainMs: number;
  workerId: string | null;
  check: MemoryCheck;
  choice: JobChoice;
  lifecycle: JobLifecycle;
  slot: TrainingSlot;
  lease: JobLease;
  claimed: ChangedJob;
  context: HandlerContext;
}

async function work(claim: Claim): Promise<void> {
  const { check, choice, claimed, lease, lifecycle, slot, context, ...deps } = claim;
  const logger = context.logger.child({
    jobId: claimed.id,
    rolloutId: claimed.rollout_id,
    tenantId: claimed.tenant_id,
    attempt: claimed.attempt,
  });
  const job = await adaptationRepository.load(deps.db, claimed.id);
  if (job === null) return;
  choice.loads({ oldId: job.sourceVersion.baseModelVersionId, newId: job.rollout.baseModelVersionId });
  logger.info({ kind: job.kind, adapterId: job.adapterId }, 'job claimed');
  const heartbeatMs = deps.heartbeatMs ?? 1000;
  const { policy } = job.rollout.options as StoredOptions;
  try {
    limitStarts('adaptation.run', claimed.attempt - claimed.excused_attempts, `job ${job.id} was claimed`);
    if (claimed.attempt === job.retriedAfter + 1) await requireDeviceTime(deps, job.tenantId);
    const reason = check.isHopeless(job.id) ? check.refusalOf(job.id) : null;
    if (reason !== null) throw tooLittleMemory(reason);
    const { attempt } = claimed;
    const { tracing = NO_TRACING } = deps;
    const run = { ...deps, heartbeatMs, lifecycle, lease, job, attempt, slot, signal: context.signal, logger };
    // A job begins a trace of its own, with a link to its rollout's, because one trace of a whole fleet would be
    // unreadable.
    await inSpan(tracing, 'job.run', { link: job.rollout.traceparent, attributes: attributesOf(claimed) }, (span) =>
      runJob({ ...run, trace: { tracing, parent: span.traceparent } }),
    );
    await removeJobFolder(deps.checkpoints, job.id);
  } catch (error) {
    await conclude(claim, error);
  } finally {
    if (policy !== undefined) await followWaves(claim, logger);
    await followWaiting(claim, logger);
  }
}

/**
 * Releases the jobs of newer rollouts that have waited for this job. If this fails, the sweeper releases them later.
 */
async function followWaiting({ db, producer, claimed }: Claim, logger: Logger): Promise<void> {
  await releaseAfter({ db, producer }, claimed.id).catch((error: unknown) => {
    logger.warn({ err: error }, 'the jobs that wait for this one were not released: the sweeper will do it');
  });
}

function attributesOf(job: ChangedJob): SpanAttributes {
  return {
    'readapt.job_id': job.id,
    'readapt.rollout_id': job.rollout_id,
    'readapt.tenant_id': job.tenant_id,
    'readapt.adapter_id': job.adapter_id,
    'readapt.kind': job.kind,
    'readapt.attempt': job.attempt,
  };
}

/**
 * Releases the next wave of the rollout or pauses the rollout, if the end of this job requires it. If this fails, the
 * sweeper does it later.
 */
async function followWaves({ db, producer, claimed }: Claim, logger: Logger): Promise<void> {
  await followInBatches({ db, producer }, claimed.rollout_id).catch((error: unknown) => {
    logger.warn({ err: error }, 'the jobs of a rollout were not released or paused: the sweeper will do it');
  });
}

/**
 * Checks that a tenant may use the device.
 * @throws PermanentError if the tenant has used up its device seconds of this month
 */
async function requireDeviceTime(
  { db, quotas = NO_QUOTAS }: { db: Database; quotas?: QuotaLimits },
  tenantId: string,
): Promise<void> {
  const refusal = await createJobRooms({ db, defaults: quotas }).deviceRefusal(tenantId);
  if (refusal !== null) throw new PermanentError(refusal.message, { code: 'quota_exceeded' });
}

/** Stores the end of a failed attempt, and throws the error that tells the queue whether to try the job again. */
async function conclude(claim: Claim, error: unknown): Promise<void> {
  const { check, claimed, lease, lifecycle, context, askAgainMs } = claim;
  const { logger } = context;
  const attempt = attemptEnd(error, context, (cause) => classifyError(cause, askAgainMs));
  const { end } = attempt;
  const stored = { ...storedProblem(attempt.cause) };
  try {
    if (error instanceof LeaseLostError) throw error;
    if (end === 'fail') {
      const entries = await lifecycle.end(lease, claimed.rollout_id, { state: 'failed', error: stored });
      await claim.producer.enqueueAfterCommit(entries);
      await removeJobFolder(claim.checkpoints, claimed.id);
    } else await lifecycle.release(lease, end === 'stopped' ? null : stored, { excused: end !== 'retry' });
  } catch (fault) {
    if (!(fault instanceof LeaseLostError)) throw fault;
    logger.info({ jobId: claimed.id }, 'job given up: it was cancelled, paused or taken over');
    const ended = await adaptationRepository.ended(claim.db, [claimed.id]);
    if (ended.length > 0) await removeJobFolder(claim.checkpoints, claimed.id);
    await leaveToNext(claim.db, claimed.id);
    return;
  }
  if (end !== 'stopped') claim.metrics?.attemptFailed(stored.code);
  if (end === 'put-off') {
    const reason = attempt.error.message;
    if (check.refuse(claimed.id, reason)) logger.warn({ jobId: claimed.id, reason }, 'job left to another worker');
  }
  throw attempt.error;
}

/**
 * Removes the checkpoint folders of jobs that have ended or were deleted, such as a job cancelled while it waited.
 * @returns the number of removed folders
 */
export async function removeStaleCheckpoints(db: Database, checkpoints: string): Promise<number> {
  const names = await readdir(checkpoints).catch((): string[] => []);
  const ended = await adaptationRepository.ended(
    db,
    names.filter((name) => name.startsWith('job_')),
  );
  for (const id of ended) await removeJobFolder(checkpoints, id);
  return ended.length;
}

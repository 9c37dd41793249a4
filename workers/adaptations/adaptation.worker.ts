import { randomUUID } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import type { ArtifactStore } from '../../src/artifacts/artifact-store.ts';
import { PermanentError, TryLaterError, type HandlerContext, type HandlerSet } from '../../src/jobs/index.ts';
import type { Database } from '../../src/lib/database.ts';
import {
  createJobLifecycle,
  LeaseLostError,
  type ChangedJob,
  type JobLifecycle,
  type Lease,
} from '../../src/modules/jobs/index.ts';
import { acquireDevice, isStopping, problemOf } from '../handler-faults.ts';
import { TrainingFailedError } from '../training/training-errors.ts';
import type { TrainingProcess, TrainingSlot } from '../training/training-process.ts';
import { adaptationRepository } from './adaptation.repository.ts';
import { workDirOf } from './build-job-spec.ts';
import { runJob } from './run-job.ts';

export interface AdaptationDependencies {
  db: Database;
  artifacts: ArtifactStore;
  training: TrainingProcess;
  /** Folder that holds a folder for each job. */
  checkpoints: string;
  leaseMs?: number;
  heartbeatMs?: number;
}

/** Largest number of claims of one job, so that a job that crashes its worker ends at some time. */
const MAX_CLAIMS = 25;

/** Makes the handler of `adaptation.run`. */
export function adaptationHandlers(deps: AdaptationDependencies): HandlerSet {
  const lifecycle = createJobLifecycle({ db: deps.db, leaseMs: deps.leaseMs });
  return {
    'adaptation.run': async ({ jobId }, context) => {
      // Waiting for the device counts as `queue_wait`, because the job's clock changes phase only with the claim.
      const slot = await acquireDevice(deps.training, context.signal);
      try {
        const lease: Lease = { jobId, owner: `${os.hostname()}:${process.pid}:${randomUUID()}` };
        const claimed = await lifecycle.claim(lease);
        if (claimed === null) await leaveToHolder(deps.db, jobId);
        else await work({ ...deps, lifecycle, slot, lease, claimed, context });
      } finally {
        slot.release();
      }
    },
  };
}

/** Acknowledges a job that has ended, and puts off one that another worker holds. @throws TryLaterError */
async function leaveToHolder(db: Database, jobId: string): Promise<void> {
  const leftMs = await adaptationRepository.leaseLeft(db, jobId);
  if (leftMs !== null) throw new TryLaterError(`job ${jobId} is held by another worker`, Math.max(0, leftMs) + 500);
}

/** A job that this worker holds, with everything needed to run it. */
interface Claim extends AdaptationDependencies {
  lifecycle: JobLifecycle;
  slot: TrainingSlot;
  lease: Lease;
  claimed: ChangedJob;
  context: HandlerContext;
}

async function work(claim: Claim): Promise<void> {
  const { claimed, lease, lifecycle, slot, context, ...deps } = claim;
  const logger = context.logger.child({
    jobId: claimed.id,
    rolloutId: claimed.rollout_id,
    tenantId: claimed.tenant_id,
    attempt: claimed.attempt,
  });
  const job = await adaptationRepository.load(deps.db, claimed.id);
  if (job === null) return;
  logger.info({ kind: job.kind, adapterId: job.adapterId }, 'job claimed');
  const heartbeatMs = deps.heartbeatMs ?? 1000;
  try {
    if (claimed.attempt > MAX_CLAIMS) {
      throw new PermanentError(`job ${job.id} was claimed ${MAX_CLAIMS} times and never ended`, {
        code: 'too_many_attempts',
      });
    }
    await runJob({ ...deps, heartbeatMs, lifecycle, lease, job, slot, signal: context.signal, logger });
    await removeWorkDir(deps, job.id);
  } catch (error) {
    await conclude(claim, error);
  }
}

/** Writes how a failed attempt ended, and throws what tells the queue whether to try the job again. */
async function conclude(claim: Claim, error: unknown): Promise<void> {
  const { claimed, lease, lifecycle, context } = claim;
  const { signal, lastAttempt, logger } = context;
  const stopping = isStopping(signal);
  const permanent = isPermanent(error);
  try {
    if (error instanceof LeaseLostError) throw error;
    if (stopping) await lifecycle.release(lease, null);
    else if (permanent || lastAttempt) {
      await lifecycle.end(lease, claimed.rollout_id, { state: 'failed', error: { ...problemOf(error) } });
      await removeWorkDir(claim, claimed.id);
    } else await lifecycle.release(lease, { ...problemOf(error) });
  } catch (fault) {
    if (!(fault instanceof LeaseLostError)) throw fault;
    logger.info({ jobId: claimed.id }, 'job given up: it was cancelled or taken over');
    if ((await adaptationRepository.ended(claim.db, [claimed.id])).length > 0) await removeWorkDir(claim, claimed.id);
    return;
  }
  if (stopping) throw new TryLaterError('the worker is stopping', 0);
  if (permanent) throw new PermanentError(problemOf(error).message, { cause: error });
  throw error;
}

/** Removes a job's folder. It retries, because a process that was just killed may still be creating a file. */
function removeWorkDir(deps: { checkpoints: string }, jobId: string): Promise<void> {
  return rm(workDirOf(deps.checkpoints, jobId), { recursive: true, force: true, maxRetries: 5 });
}

function isPermanent(error: unknown): boolean {
  return error instanceof PermanentError || (error instanceof TrainingFailedError && error.permanent);
}

/** Removes the folders of jobs that have ended, for example of one that was cancelled while it waited. */
export async function removeStaleCheckpoints(db: Database, checkpoints: string): Promise<void> {
  const ids = await readdir(checkpoints).catch((): string[] => []);
  for (const id of await adaptationRepository.ended(db, ids)) {
    await rm(workDirOf(checkpoints, id), { recursive: true, force: true });
  }
}

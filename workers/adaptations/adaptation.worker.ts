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
import { adaptationRepository } from './adaptation.repository.ts';
import { workDirOf } from './build-job-spec.ts';
import { runJob } from './run-job.ts';
import { TrainingFailedError } from '../training/training-errors.ts';
import type { TrainingProcess, TrainingSlot } from '../training/training-process.ts';

export interface AdaptationDependencies {
  db: Database;
  artifacts: ArtifactStore;
  training: TrainingProcess;
  /** Parent of the jobs' own folders. */
  checkpoints: string;
  leaseMs?: number;
  heartbeatMs?: number;
}

/** A job that takes its worker down with it is not taken up for ever. */
const MAX_CLAIMS = 25;

/** Handler of `adaptation.run`. */
export function adaptationHandlers(deps: AdaptationDependencies): HandlerSet {
  const lifecycle = createJobLifecycle({ db: deps.db, leaseMs: deps.leaseMs });
  return {
    'adaptation.run': async ({ jobId }, context) => {
      // The job waits for the device in the queue's name: its clock starts with the claim.
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

/** A job that has ended is acknowledged without work; one that another worker holds is looked at again later. */
async function leaveToHolder(db: Database, jobId: string): Promise<void> {
  const leftMs = await adaptationRepository.leaseLeft(db, jobId);
  if (leftMs !== null) throw new TryLaterError(`job ${jobId} is held by another worker`, Math.max(0, leftMs) + 500);
}

/** A job that this worker holds, and what it is run with. */
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
      throw new PermanentError(`job ${job.id} was taken up ${MAX_CLAIMS} times in vain`, { code: 'too_many_attempts' });
    }
    await runJob({ ...deps, heartbeatMs, lifecycle, lease, job, slot, signal: context.signal, logger });
    await removeWorkDir(deps, job.id);
  } catch (error) {
    await conclude(claim, error);
  }
}

/** Writes how a try ended that did not go well, and tells the queue what to do with the job. */
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

/** A process that was killed a moment ago may still complete the creation of a file: hence the retries. */
function removeWorkDir(deps: { checkpoints: string }, jobId: string): Promise<void> {
  return rm(workDirOf(deps.checkpoints, jobId), { recursive: true, force: true, maxRetries: 5 });
}

function isPermanent(error: unknown): boolean {
  return error instanceof PermanentError || (error instanceof TrainingFailedError && error.permanent);
}

/** Removes what ended jobs left in the checkpoint folder, for example one that was cancelled while it waited. */
export async function removeStaleCheckpoints(db: Database, checkpoints: string): Promise<void> {
  const ids = await readdir(checkpoints).catch((): string[] => []);
  for (const id of await adaptationRepository.ended(db, ids)) {
    await rm(workDirOf(checkpoints, id), { recursive: true, force: true });
  }
}

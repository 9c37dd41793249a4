import { NO_BASELINES, type BaselinesOutcome, type BaselinesSpec } from '../../core/adaptation/baselines.ts';
import { PRECISIONS } from '../../core/options/precisions.ts';
import type { ArtifactStore } from '../../src/platform/artifacts/artifact-store.ts';
import { attemptEnd, PermanentError, type HandlerContext, type HandlerSet } from '../../src/platform/queue/index.ts';
import type { Database, Queryable } from '../../src/platform/database/database.ts';
import { createJobLifecycle } from '../../src/fleet/job-control/index.ts';
import { BaseAvailability } from '../bases/base-availability.ts';
import { FOLDERS_ONLY } from '../bases/local-bases.ts';
import { watchCancellation } from '../training/cancellation-watch.ts';
import { acquireDevice, classifyError } from '../faults/handler-faults.ts';
import { storedProblem } from '../faults/stored-problem.ts';
import type { TrainingProcess, TrainingSlot } from '../training/training-process.ts';
import { adaptationRepository, NO_PENDING_MEASUREMENTS, type LoadedJob } from './adaptation.repository.ts';
import { buildJobSpec, oneOf, type JobFolders } from './build-job-spec.ts';
import { leavingUnreadable } from './leave-unreadable.ts';
import { jobFolderOf } from './work-dir.ts';

export interface BaselinesDependencies extends JobFolders {
  db: Database;
  artifacts: ArtifactStore;
  training: TrainingProcess;
  /** Interval at which a running measurement checks whether its rollout was cancelled. */
  heartbeatMs?: number;
  /** Tracker of the base model versions whose files this worker has recently failed to read. */
  availability?: BaseAvailability;
}

/**
 * Makes the handler of `baselines.measure`, which measures the baselines for a job's report when no adapter waits for
 * the device.
 */
export function baselinesHandlers(deps: BaselinesDependencies): HandlerSet {
  const { db, availability = new BaseAvailability(), local = FOLDERS_ONLY } = deps;
  return {
    'baselines.measure': ({ jobId }, context) =>
      leavingUnreadable({ db, availability, local, workerId: null }, jobId, context, async () => {
        const slot = await acquireDevice(deps.training, context.signal);
        try {
          const job = await adaptationRepository.load(db, jobId);
          if (!job?.baselinesPending || job.rollout.state === 'paused') return;
          await deps.artifacts.holding((artifacts) => measure({ ...deps, artifacts, slot, context }, job));
        } finally {
          slot.release();
        }
      }),
  };
}

interface Measuring extends BaselinesDependencies {
  slot: TrainingSlot;
  context: HandlerContext;
}

async function measure(deps: Measuring, job: LoadedJob): Promise<void> {
  const { db, slot, context, heartbeatMs = 1000 } = deps;
  const isNeeded = () => adaptationRepository.hasPendingBaselines(db, job.id);
  const watch = watchCancellation(isNeeded, `the baselines of job ${job.id} are no longer needed`, heartbeatMs);
  try {
    const spec = await buildBaselinesSpec(db, job, deps);
    await end(db, job, await slot.baselines(spec, AbortSignal.any([context.signal, watch.cancelled])));
    context.logger.info({ jobId: job.id, rolloutId: job.rolloutId }, 'baselines measured');
  } catch (error) {
    if (!watch.cancelled.aborted) await conclude(deps, job, error);
  } finally {
    watch.stop();
  }
}

/**
 * Ends a failed attempt to measure baselines: either it is tried again, or the baselines are given up with a warning.
 * The job's adapter is not affected.
 * @throws the error that tells the queue whether to try again
 */
async function conclude({ db, context }: Measuring, job: LoadedJob, error: unknown): Promise<never> {
  const attempt = attemptEnd(error, context, classifyError);
  if (attempt.end === 'fail') {
    const { message } = storedProblem(attempt.cause);
    const nothing = { baselines: NO_BASELINES, oldOutcomes: null };
    await end(db, job, nothing, [`what the adapter is compared with could not be measured: ${message}`]);
  }
  throw attempt.error;
}

async function end(
  db: Database,
  job: LoadedJob,
  { baselines: { old, none, copy }, oldOutcomes }: BaselinesOutcome,
  warnings: readonly string[] = [],
): Promise<void> {
  const finite = (value: number | null) => (value !== null && Number.isFinite(value) ? value : null);
  const measured = { metricOld: finite(old), metricNone: finite(none), metricCopy: finite(copy) };
  await createJobLifecycle({ db }).endBaselines(job, measured, (tx) =>
    adaptationRepository.insertMeasurements(tx, job, { ...NO_PENDING_MEASUREMENTS, old: oldOutcomes, warnings }),
  );
}

async function buildBaselinesSpec(db: Queryable, job: LoadedJob, folders: JobFolders): Promise<BaselinesSpec> {
  const { appendEos, appendEosReason, maxLength, metricOld, metricNone, metricCopy } = job;
  if (appendEos === null || appendEosReason === null || maxLength === null) {
    throw new PermanentError(`job ${job.id} does not say how its rows were made into tokens`, { code: 'invalid_job' });
  }
  return {
    // The measurement writes no files, so the job's own folder can be `workDir`.
    job: await buildJobSpec(db, job, { ...folders, workDir: jobFolderOf(folders.checkpoints, job.id) }),
    known: { old: metricOld, none: metricNone, copy: metricCopy },
    rowFormat: { appendEos, appendEosReason, maxLength },
    precision: oneOf(PRECISIONS, job.precision ?? '', `precision of job ${job.id}`),
  };
}

import type { ArtifactStore } from '../../src/platform/artifacts/artifact-store.ts';
import {
  limitStarts,
  TryLaterError,
  type HandlerContext,
  type HandlerSet,
  type QueueProducer,
} from '../../src/platform/queue/index.ts';
import type { QuotaLimits } from '../../src/platform/config/quotas.ts';
import type { Database } from '../../src/platform/database/database.ts';
import type { Logger } from '../../src/lib/logger.ts';
import type { StoredError } from '../../src/platform/contract/shown-error.ts';
import { createForecastLifecycle, type ForecastLifecycle } from '../../src/fleet/forecasts/index.ts';
import { inSpan, NO_TRACING, type Tracing } from '../../src/platform/tracing/tracing.ts';
import {
  createRolloutLifecycle,
  type Refusals,
  type RolloutLifecycle,
  type RolloutRow,
  type StoredOptions,
} from '../../src/fleet/rollouts/index.ts';
import { BaseAvailability } from '../bases/base-availability.ts';
import { watchCancellation } from '../training/cancellation-watch.ts';
import { FOLDERS_ONLY, type BaseFetch, type LocalBases, type SourcedBase } from '../bases/local-bases.ts';
import { reportingFaults } from '../faults/handler-faults.ts';
import type { TrainingProcess } from '../training/training-process.ts';
import { createAnalysisRepository } from './analysis.repository.ts';
import { analyzeRolloutVersions } from './analysis.ts';
import { concludeAnalysis } from './analysis-end.ts';
import { createLazyDevice, type LazyDevice } from './lazy-device.ts';
import { noteFetches, withFetchedVersions } from './version-fetch.ts';

export interface RolloutDependencies {
  db: Database;
  artifacts: ArtifactStore;
  producer: QueueProducer;
  training: TrainingProcess;
  /** Quotas that apply to tenants without quotas of their own. Default: no limits. */
  quotas?: QuotaLimits;
  /** Interval at which a running analysis checks whether its rollout was cancelled. */
  heartbeatMs?: number;
  /** Tracker of the base model versions whose files this worker has recently failed to read. */
  availability?: BaseAvailability;
  /** Access to the files of bases on this worker. Default: every base is in the folder that its database row names. */
  local?: LocalBases;
  /** Tracing of the planning as spans. Default: nothing is traced. */
  tracing?: Tracing;
}

/**
 * Makes the handlers that plan rollouts: they verify the bases, compute the evolutions, plan the jobs and enqueue them.
 */
export function rolloutHandlers(deps: RolloutDependencies): HandlerSet {
  const lifecycle = createRolloutLifecycle(deps);
  const forecasts = createForecastLifecycle(deps);
  const repository = createAnalysisRepository(deps.db);
  const { availability = new BaseAvailability(), local = FOLDERS_ONLY, tracing = NO_TRACING } = deps;
  const work = async (rolloutId: string, bases: readonly SourcedBase[], context: HandlerContext): Promise<void> => {
    const device = createLazyDevice(deps.training, context.signal);
    try {
      // If files have to be fetched, the analysis acquires the device only after the fetch.
      if (await local.areHere(bases)) await device.acquire();
      const rollout = await lifecycle.beginAnalysis(rolloutId);
      if (rollout === null) return;
      const { traceparent: parent } = rollout;
      const attributes = { 'readapt.rollout_id': rolloutId, 'readapt.attempt': rollout.attempt };
      await inSpan(tracing, 'rollout.prepare', { parent, attributes }, () =>
        planRollout({ ...deps, local, tracing, lifecycle, forecasts, device, context }, rollout),
      );
    } finally {
      device.release();
    }
  };
  const plan = ({ rolloutId }: { rolloutId: string }, context: HandlerContext): Promise<void> =>
    reportingFaults(async () => {
      const bases = await repository.basesOf(rolloutId);
      const user = {
        id: rolloutId,
        bases: bases.map(local.locate),
        signal: context.signal,
        note: (problem: StoredError) => repository.noteWaiting(rolloutId, problem),
      };
      await availability.run(user, () => work(rolloutId, bases, context));
    });
  return { 'rollout.plan': plan };
}

interface PlanContext extends RolloutDependencies {
  tracing: Tracing;
  lifecycle: RolloutLifecycle;
  forecasts: ForecastLifecycle;
  local: LocalBases;
  device: LazyDevice;
  context: HandlerContext;
}

async function planRollout(deps: PlanContext, rollout: RolloutRow): Promise<void> {
  const { lifecycle, context, tracing } = deps;
  const { id, baseModelVersionId } = rollout;
  const logger = context.logger.child({ rolloutId: id });
  const isAnalyzing = () => lifecycle.isAnalyzing(id);
  const watch = watchCancellation(isAnalyzing, `rollout ${id} is no longer being analyzed`, deps.heartbeatMs ?? 1000);
  const signal = AbortSignal.any([context.signal, watch.cancelled]);
  try {
    limitStarts('rollout.plan', rollout.attempt - rollout.excusedAttempts, `the analysis of rollout ${id} was begun`);
    const options = rollout.options as StoredOptions;
    const oldIds = await lifecycle.oldVersions({ baseModelVersionId, options });
    const ids = { newId: baseModelVersionId, oldIds };
    const onProgress = (fetches: readonly BaseFetch[]) => noteFetches(deps.db, id, fetches);
    const refusals = await withFetchedVersions({ ...deps, signal, onProgress }, ids, async (gone) => {
      const slot = await deps.device.acquire();
      return inSpan(tracing, 'rollout.analyze', {}, () =>
        analyzeRolloutVersions({ ...deps, slot, signal, logger }, { ...ids, gone }),
      );
    });
    await keepForecast({ ...deps, logger }, rollout, refusals);
    const jobs = await inSpan(tracing, 'rollout.plan', {}, () =>
      lifecycle.plan({ id, baseModelVersionId, options }, refusals, async (entries, superseded) => {
        context.signal.throwIfAborted();
        await deps.producer.enqueueAfterCommit(entries);
        await deps.producer.remove('adaptations', superseded);
      }),
    );
    if (jobs !== null) logger.info({ jobs, refusedVersions: refusals.size }, 'rollout planned');
  } catch (error) {
    if (watch.cancelled.aborted) {
      logger.info('analysis ended: its rollout is no longer being analyzed');
      // A rollout that was resumed meanwhile could not be enqueued, because the queue still had this entry.
      if (await isAnalyzing()) throw new TryLaterError(`rollout ${id} was resumed`, 0);
      return;
    }
    await concludeAnalysis(lifecycle, id, context, error);
  } finally {
    watch.stop();
  }
}

/**
 * Stores a forecast of the rollout's times and cost, to be shown beside the real ones. If that fails, the rollout
 * continues without a forecast.
 */
async function keepForecast(
  { forecasts, logger }: Pick<PlanContext, 'forecasts'> & { logger: Logger },
  { id, baseModelVersionId, options }: RolloutRow,
  refusals: Refusals,
): Promise<void> {
  await forecasts
    .keepForRollout(id, { baseModelVersionId, options: options as StoredOptions, refusals })
    .catch((error: unknown) => logger.warn({ err: error }, 'the rollout goes on without a forecast'));
}

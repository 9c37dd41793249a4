import type { ArtifactStore } from '../../src/artifacts/artifact-store.ts';
import { TryLaterError, type HandlerContext, type HandlerSet, type JobProducer } from '../../src/jobs/index.ts';
import type { QuotaLimits } from '../../src/config/quotas.ts';
import type { Database } from '../../src/lib/database.ts';
import type { Logger } from '../../src/lib/logger.ts';
import type { StoredError } from '../../src/lib/shown-error.ts';
import { createForecastLifecycle, type ForecastLifecycle } from '../../src/modules/forecasts/index.ts';
import { inSpan, NO_TRACING, type Tracing } from '../../src/lib/tracing/tracing.ts';
import {
  createRolloutLifecycle,
  type Refusals,
  type RolloutLifecycle,
  type RolloutRow,
  type StoredOptions,
} from '../../src/modules/rollouts/index.ts';
import { BaseFitness } from '../base-fitness.ts';
import { watchCancellation } from '../cancellation-watch.ts';
import { FOLDERS_ONLY, type BaseFetch, type LocalBases, type SourcedBase } from '../bases/local-bases.ts';
import { reportingFaults } from '../handler-faults.ts';
import type { TrainingProcess } from '../training/training-process.ts';
import { createAnalysisRepository } from './analysis.repository.ts';
import { analyzeVersions } from './analysis.ts';
import { concludeAnalysis, limitAnalyses } from './analysis-end.ts';
import { createLateDevice, type LateDevice } from './late-device.ts';
import { noteFetches, withFetchedVersions } from './version-fetch.ts';

export interface RolloutDependencies {
  db: Database;
  artifacts: ArtifactStore;
  producer: JobProducer;
  training: TrainingProcess;
  /** What each tenant may have by default. Default: no limits. */
  quotas?: QuotaLimits;
  /** Interval at which a running analysis checks whether its rollout was cancelled. */
  heartbeatMs?: number;
  /** Which bases this worker cannot read. */
  fitness?: BaseFitness;
  /** Where this worker has the files of bases. Default: in folders alone. */
  local?: LocalBases;
  /** Default: nothing is traced. */
  tracing?: Tracing;
}

/** Makes the handlers that plan rollouts: they verify the bases, compute the evolutions, plan the jobs and enqueue them. */
export function rolloutHandlers(deps: RolloutDependencies): HandlerSet {
  const lifecycle = createRolloutLifecycle(deps);
  const forecasts = createForecastLifecycle(deps);
  const repository = createAnalysisRepository(deps.db);
  const { fitness = new BaseFitness(), local = FOLDERS_ONLY, tracing = NO_TRACING } = deps;
  const work = async (rolloutId: string, bases: readonly SourcedBase[], context: HandlerContext): Promise<void> => {
    const device = createLateDevice(deps.training, context.signal);
    try {
      // Files are fetched without the device, which then is waited for in the middle of the analysis.
      if (await local.areHere(bases)) await device.acquire();
      const rollout = await lifecycle.beginAnalysis(rolloutId);
      if (rollout === null) return;
      await limitAnalyses(lifecycle, 'rollout', rollout);
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
      await fitness.run(user, () => work(rolloutId, bases, context));
    });
  return { 'rollout.plan': plan };
}

interface PlanContext extends RolloutDependencies {
  tracing: Tracing;
  lifecycle: RolloutLifecycle;
  forecasts: ForecastLifecycle;
  local: LocalBases;
  device: LateDevice;
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
    const options = rollout.options as StoredOptions;
    const oldIds = await lifecycle.oldVersions({ baseModelVersionId, options });
    const ids = { newId: baseModelVersionId, oldIds };
    const onProgress = (fetches: readonly BaseFetch[]) => noteFetches(deps.db, id, fetches);
    const refusals = await withFetchedVersions({ ...deps, signal, onProgress }, ids, async (gone) => {
      const slot = await deps.device.acquire();
      return inSpan(tracing, 'rollout.analyze', {}, () =>
        analyzeVersions({ ...deps, slot, signal, logger }, { ...ids, gone }),
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
      // One that was resumed meanwhile could not be enqueued, because the queue still had it.
      if (await isAnalyzing()) throw new TryLaterError(`rollout ${id} was resumed`, 0);
      return;
    }
    await concludeAnalysis(lifecycle, id, context, error);
  } finally {
    watch.stop();
  }
}

/**
 * Keeps what the rollout is expected to take, so that it can be compared with what it has taken. Only people look at that: a rollout goes
 * on without it.
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

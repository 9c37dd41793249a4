import type { HandlerContext, HandlerSet } from '../../src/jobs/index.ts';
import { createForecastLifecycle, type ForecastLifecycle } from '../../src/modules/forecasts/index.ts';
import { createRolloutLifecycle, type StoredOptions } from '../../src/modules/rollouts/index.ts';
import { BaseFitness } from '../base-fitness.ts';
import { NO_TRACING } from '../../src/lib/tracing/tracing.ts';
import { acquireDevice, reportingFaults, WORKER_FAULT } from '../handler-faults.ts';
import { concludeAnalysis, limitAnalyses } from './analysis-end.ts';
import { createAnalysisRepository } from './analysis.repository.ts';
import { examineVersions } from './analysis.ts';
import type { RolloutDependencies } from './rollout.worker.ts';

/** Makes the handler of dry runs: it examines the versions as a rollout does, and forecasts what would follow. It plans nothing. */
export function forecastHandlers(deps: RolloutDependencies): HandlerSet {
  const forecasts = createForecastLifecycle(deps);
  const { fitness = new BaseFitness(), tracing = NO_TRACING } = deps;
  const work = async (id: string, context: HandlerContext): Promise<void> => {
    const slot = await acquireDevice(deps.training, context.signal);
    try {
      const row = await forecasts.begin(id);
      if (row === null) return;
      await limitAnalyses(forecasts, 'forecast', row);
      const options = row.options as StoredOptions;
      const analysis = { ...deps, tracing, slot, signal: context.signal, logger: context.logger };
      await forecast(analysis, forecasts, { ...row, options }).catch((error: unknown) =>
        concludeAnalysis(forecasts, id, context, error),
      );
    } finally {
      slot.release();
    }
  };
  return {
    'rollout.forecast': ({ forecastId: id }, context) =>
      reportingFaults(async () => {
        const bases = await createAnalysisRepository(deps.db).basesOfForecast(id);
        const note = async (message: string) => {
          await forecasts.note(id, { code: WORKER_FAULT, message });
        };
        await fitness.run({ id, bases, signal: context.signal, note }, () => work(id, context));
      }),
  };
}

async function forecast(
  context: Parameters<typeof examineVersions>[0],
  forecasts: ForecastLifecycle,
  { id, baseModelVersionId, options }: { id: string; baseModelVersionId: string; options: StoredOptions },
): Promise<void> {
  const begun = performance.now();
  const oldIds = await createRolloutLifecycle(context).oldVersions({ baseModelVersionId, options });
  const { refusals, evolvingMs } = await examineVersions(context, baseModelVersionId, oldIds);
  // The rollout finds the evolutions, and verifies the files again.
  const analysisMs = Math.max(0, performance.now() - begun - evolvingMs);
  await forecasts.complete(id, { baseModelVersionId, options, refusals, analysisMs, rolloutId: null });
  context.logger.info({ forecastId: id, refusedVersions: refusals.size }, 'rollout forecast computed');
}

import { limitStarts, type HandlerContext, type HandlerSet } from '../../src/platform/queue/index.ts';
import { createForecastLifecycle, type ForecastLifecycle } from '../../src/fleet/forecasts/index.ts';
import { createRolloutLifecycle, type StoredOptions } from '../../src/fleet/rollouts/index.ts';
import { BaseAvailability } from '../bases/base-availability.ts';
import { NO_TRACING } from '../../src/platform/tracing/tracing.ts';
import type { StoredError } from '../../src/platform/contract/shown-error.ts';
import { FOLDERS_ONLY, type SourcedBase } from '../bases/local-bases.ts';
import { reportingFaults } from '../faults/handler-faults.ts';
import { concludeAnalysis } from './analysis-end.ts';
import { createAnalysisRepository } from './analysis.repository.ts';
import { examineVersions } from './analysis.ts';
import { createLazyDevice, type LazyDevice } from './lazy-device.ts';
import type { RolloutDependencies } from './rollout.handler.ts';
import { withFetchedVersions } from './version-fetch.ts';

/**
 * Makes the handler of dry runs. It examines the versions as a rollout does and forecasts the rollout, but plans no
 * jobs.
 */
export function forecastHandlers(deps: RolloutDependencies): HandlerSet {
  const forecasts = createForecastLifecycle(deps);
  const { availability = new BaseAvailability(), local = FOLDERS_ONLY, tracing = NO_TRACING } = deps;
  const work = async (id: string, bases: readonly SourcedBase[], context: HandlerContext): Promise<void> => {
    const device = createLazyDevice(deps.training, context.signal);
    try {
      if (await local.areHere(bases)) await device.acquire();
      const row = await forecasts.begin(id);
      if (row === null) return;
      const options = row.options as StoredOptions;
      const analysis = { ...deps, local, tracing, device, signal: context.signal, logger: context.logger };
      try {
        limitStarts('rollout.forecast', row.attempt - row.excusedAttempts, `the analysis of forecast ${id} was begun`);
        await forecast(analysis, forecasts, { ...row, options });
      } catch (error) {
        await concludeAnalysis(forecasts, id, context, error);
      }
    } finally {
      device.release();
    }
  };
  return {
    'rollout.forecast': ({ forecastId: id }, context) =>
      reportingFaults(async () => {
        const bases = await createAnalysisRepository(deps.db).basesOfForecast(id);
        const note = async (problem: StoredError) => {
          await forecasts.note(id, { ...problem });
        };
        const user = { id, bases: bases.map(local.locate), signal: context.signal, note };
        await availability.run(user, () => work(id, bases, context));
      }),
  };
}

async function forecast(
  context: Omit<Parameters<typeof examineVersions>[0], 'slot'> & { device: LazyDevice },
  forecasts: ForecastLifecycle,
  { id, baseModelVersionId, options }: { id: string; baseModelVersionId: string; options: StoredOptions },
): Promise<void> {
  const oldIds = await createRolloutLifecycle(context).oldVersions({ baseModelVersionId, options });
  const ids = { newId: baseModelVersionId, oldIds };
  const { refusals, analysisMs } = await withFetchedVersions(context, ids, async (gone) => {
    const slot = await context.device.acquire();
    const begun = performance.now();
    const examined = await examineVersions({ ...context, slot }, { ...ids, gone });
    // The rollout will find the evolutions ready but verify the files again, so only verification counts.
    const analysisMs = Math.max(0, performance.now() - begun - examined.evolvingMs);
    return { refusals: examined.refusals, analysisMs };
  });
  await forecasts.complete(id, { baseModelVersionId, options, refusals, analysisMs, rolloutId: null });
  context.logger.info({ forecastId: id, refusedVersions: refusals.size }, 'rollout forecast computed');
}

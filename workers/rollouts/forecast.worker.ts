import {
  PermanentError,
  TryLaterError,
  WorkerFaultError,
  type HandlerContext,
  type HandlerSet,
} from '../../src/jobs/index.ts';
import { createForecastLifecycle, type ForecastLifecycle } from '../../src/modules/forecasts/index.ts';
import { createRolloutLifecycle, type StoredOptions } from '../../src/modules/rollouts/index.ts';
import { BaseFitness } from '../base-fitness.ts';
import {
  acquireDevice,
  faultOf,
  isStopping,
  machineFaultOf,
  reportingFaults,
  WORKER_FAULT,
} from '../handler-faults.ts';
import { storedProblem } from '../stored-problem.ts';
import { createAnalysisRepository } from './analysis.repository.ts';
import { examineVersions, RefusalError } from './analysis.ts';
import type { RolloutDependencies } from './rollout.worker.ts';

/** As of the analyses of a rollout. */
const MAX_ATTEMPTS = 5;

/** Makes the handler of dry runs: it examines the versions as a rollout does, and forecasts what would follow. It plans nothing. */
export function forecastHandlers(deps: RolloutDependencies): HandlerSet {
  const forecasts = createForecastLifecycle(deps);
  const { fitness = new BaseFitness() } = deps;
  const work = async (id: string, context: HandlerContext): Promise<void> => {
    const slot = await acquireDevice(deps.training, context.signal);
    try {
      const row = await forecasts.begin(id);
      if (row === null) return;
      if (row.attempt - row.excusedAttempts > MAX_ATTEMPTS) await giveUp(forecasts, id);
      const options = row.options as StoredOptions;
      await forecast({ ...deps, slot, signal: context.signal, logger: context.logger }, forecasts, { ...row, options });
    } catch (error) {
      await conclude(forecasts, id, context, error);
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

/** Fails a forecast whose computation never ended. @throws PermanentError */
async function giveUp(forecasts: ForecastLifecycle, id: string): Promise<never> {
  const code = 'too_many_attempts';
  const message = `the computation of forecast ${id} was begun ${MAX_ATTEMPTS} times and never ended`;
  await forecasts.fail(id, { code, message });
  throw new PermanentError(message, { code });
}

/** Writes a permanent failure to the forecast, and throws what tells the queue whether to try again. */
async function conclude(
  forecasts: ForecastLifecycle,
  id: string,
  context: HandlerContext,
  error: unknown,
): Promise<never> {
  if (error instanceof PermanentError || error instanceof TryLaterError) throw error;
  if (error instanceof RefusalError) {
    await forecasts.fail(id, error.problem);
    throw new PermanentError(error.message, { cause: error });
  }
  if (isStopping(context.signal)) await forecasts.excuse(id, null);
  const fault = faultOf(context.signal, error);
  const machineFault = machineFaultOf(fault);
  if (machineFault !== null) {
    await forecasts.excuse(id, { ...storedProblem(fault) });
    throw new WorkerFaultError(machineFault.message, { cause: fault });
  }
  if (context.lastAttempt) await forecasts.fail(id, { ...storedProblem(fault) });
  throw fault;
}

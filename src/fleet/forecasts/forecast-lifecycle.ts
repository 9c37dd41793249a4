import { NO_QUOTAS, type QuotaLimits } from '../../platform/config/quotas.ts';
import { withTransaction, type Database, type Prisma } from '../../platform/database/database.ts';
import { newId } from '../../platform/contract/ids.ts';
import { recordEvent } from '../../delivery/events/index.ts';
import { createJobRooms, type JobRoom } from '../../tenants/quotas/index.ts';
import {
  assignWaves,
  fleetOf,
  labelsOfWaves,
  rankAdapters,
  sizesOfWaves,
  type Refusals,
  type StoredOptions,
} from '../rollouts/index.ts';
import { presentWorkers, type WorkerRow } from '../../operations/workers/index.ts';
import { countFleet, type CountedFleet } from './count-fleet.ts';
import { createForecastRepository, forecastFleetRepository, type ForecastRow } from './forecast.repository.ts';
import type { ForecastResult } from './forecast.result.ts';
import { predictFleet } from './prediction/predict-fleet.ts';
import { quantileOf } from './prediction/simulate.ts';

/** Number of tenants whose quotas one query reads. */
const PAGE = 1000;

/**
 * Input for computing a forecast: the base model version and the options of the rollout, with the results of the
 * analysis that is done before a rollout plans its jobs.
 */
export interface AnalyzedFleet {
  readonly baseModelVersionId: string;
  readonly options: StoredOptions;
  /** Reasons why adapters cannot be carried over, by the old base model version that they come from. */
  readonly refusals: Refusals;
  /** Duration of the analysis: the time from the rollout's acceptance to its first job, in milliseconds. */
  readonly analysisMs: number;
  /** Identifier of the rollout that is forecast; null for a dry run, which has none. */
  readonly rolloutId: string | null;
}

/** Changes that a worker makes to the row of a forecast while it computes the forecast. */
export interface ForecastLifecycle {
  /**
   * Begins the computation of a forecast, or takes it over from a worker that has died. Returns null if the forecast is
   * computed already or has failed.
   */
  begin(id: string): Promise<ForecastRow | null>;
  /**
   * Excludes the running attempt to compute a forecast from the count of attempts, because the worker shuts down or its
   * machine fails.
   */
  excuse(id: string, error: Prisma.InputJsonObject | null): Promise<unknown>;
  /** Stores the reason why a forecast has to wait before it can be computed. */
  note(id: string, error: Prisma.InputJsonObject): Promise<unknown>;
  /** Computes a forecast and stores its result. */
  complete(id: string, fleet: AnalyzedFleet): Promise<void>;
  fail(id: string, error: Prisma.InputJsonObject): Promise<void>;
  /**
   * Computes and stores the forecast of an accepted rollout before its jobs are planned. Keeps a forecast that an
   * earlier, interrupted planning of the rollout has already stored.
   */
  keepForRollout(
    rolloutId: string,
    fleet: Pick<AnalyzedFleet, 'baseModelVersionId' | 'options' | 'refusals'>,
  ): Promise<void>;
}

export function createForecastLifecycle({
  db,
  quotas = NO_QUOTAS,
}: {
  db: Database;
  quotas?: QuotaLimits;
}): ForecastLifecycle {
  const forecasts = createForecastRepository(db);
  const jobRooms = createJobRooms({ db, defaults: quotas });
  /** Reads the quotas of tenants, a thousand tenants in each query. */
  const roomsInPages: Parameters<typeof countFleet>[2] = async (tx, tenantIds) => {
    const rooms = new Map<string, JobRoom>();
    for (let start = 0; start < tenantIds.length; start += PAGE) {
      for (const [id, room] of await jobRooms.rooms(tx, tenantIds.slice(start, start + PAGE))) rooms.set(id, room);
    }
    return rooms;
  };
  const end = (id: string, found: { result: ForecastResult } | { error: Prisma.InputJsonObject }) =>
    withTransaction(db, async (tx) => {
      if (!(await forecasts.end(tx, id, found))) return;
      const event =
        'error' in found
          ? ({ type: 'rollout_forecast.failed', data: { error: found.error } } as const)
          : ({ type: 'rollout_forecast.computed', data: { adapters: { ...found.result.adapters } } } as const);
      await recordEvent(tx, { tenantId: null, subjectId: id, ...event });
    });

  const compute = async (fleet: AnalyzedFleet): Promise<ForecastResult> => {
    // Reading quotas locks tenants with a job limit until this transaction ends, so the transaction does nothing but
    // count.
    const running = fleet.options.policy?.supersede ?? 'finish';
    const wanted = { fleet: fleetOf(fleet), refusals: fleet.refusals, running };
    const counted = await withTransaction(db, (tx) => countFleet(tx, wanted, roomsInPages));
    return predict(db, fleet, counted);
  };

  return {
    begin: (id: string): Promise<ForecastRow | null> => forecasts.begin(id),

    excuse: (id: string, error: Prisma.InputJsonObject | null) => forecasts.excuse(id, error),

    note: (id: string, error: Prisma.InputJsonObject) => forecasts.note(id, error),

    complete: async (id: string, fleet: AnalyzedFleet) => end(id, { result: await compute(fleet) }),

    fail: (id: string, error: Prisma.InputJsonObject) => end(id, { error }),

    async keepForRollout(
      rolloutId: string,
      { baseModelVersionId, options, refusals }: Pick<AnalyzedFleet, 'baseModelVersionId' | 'options' | 'refusals'>,
    ): Promise<void> {
      if ((await forecasts.ofRollout(rolloutId)) !== null) return;
      const analysisMs = await forecastFleetRepository.sinceAcceptance(db, rolloutId);
      const result = await compute({ baseModelVersionId, options, refusals, analysisMs, rolloutId });
      await forecasts.insertOfRollout(db, { id: newId('forecast'), baseModelVersionId, rolloutId, options, result });
    },
  };
}

async function predict(
  db: Database,
  fleet: AnalyzedFleet,
  { jobs, endedAhead, planned, ...shown }: CountedFleet,
): Promise<ForecastResult> {
  const { baseModelVersionId, options, analysisMs, rolloutId } = fleet;
  const waves = await wavesOf(db, fleet, planned);
  const ready = (await presentWorkers(db)).filter(
    (worker) => worker.state === 'ready' && !worker.unreadableBases.includes(baseModelVersionId),
  );
  const workers = byDevice(ready);
  // Some of the ended jobs may have finished since they were counted, so the difference may be negative.
  const jobsAhead = Math.max(0, (await forecastFleetRepository.jobsAhead(db, rolloutId)) - endedAhead);
  const predicted = await predictFleet(
    db,
    jobs.map((each) => ({ ...each, newBaseModelVersionId: baseModelVersionId, strategy: options.strategy })),
    {
      controls: countControls(
        options,
        jobs.reduce((sum, { controllable }) => sum + controllable, 0),
      ),
      waveShares: waves.map((count) => count / Math.max(1, planned)),
      speeds: speedsOf(workers).slice(0, options.policy?.concurrency),
      jobsAhead,
      analysisMs,
    },
  );
  return { ...shown, waves, workers, jobs_ahead: jobsAhead, analysis_ms: analysisMs, ...predicted };
}

/**
 * Computes how many controls a rollout would get if `controllable` adapters may get one. The quotas of tenants, which
 * are not considered here, may allow fewer.
 */
function countControls({ control, control_fraction: fraction }: StoredOptions, controllable: number): number {
  if (control === 'none') return 0;
  return Math.round(controllable * (control === 'all' ? 1 : fraction));
}

/**
 * Counts the adapters that each wave would have if the rollout were planned now. The order of adapters within waves
 * depends on the rollout's identifier. A dry run has no rollout, so only the sizes of its waves are right.
 */
async function wavesOf(db: Database, fleet: AnalyzedFleet, planned: number): Promise<number[]> {
  const waves = fleet.options.policy?.waves ?? [];
  if (waves.length === 0) return [planned];
  const labels = labelsOfWaves(waves);
  const adapters = await rankAdapters(db, { id: fleet.rolloutId ?? '', labels, ...fleetOf(fleet) });
  return sizesOfWaves(assignWaves(waves, adapters), adapters);
}

function byDevice(workers: readonly WorkerRow[]): ForecastResult['workers'] {
  return [...new Set(workers.map(({ device }) => device))].sort().map((device) => {
    const own = workers.filter((worker) => worker.device === device);
    const speeds = Float64Array.from(own.flatMap(({ tokensPerSecond }) => tokensPerSecond ?? [])).sort();
    return {
      device,
      workers: own.length,
      tokens_per_second: speeds.length === 0 ? null : quantileOf(speeds, 0.5),
    };
  });
}

/**
 * Computes the speed of each worker relative to the mean of all workers, from the tokens per second that workers on the
 * same device have measured. Workers on a device without measurements get the mean, 1.
 */
function speedsOf(devices: ForecastResult['workers']): number[] {
  const known = devices.filter(({ tokens_per_second: speed }) => speed !== null && speed > 0);
  const workers = known.reduce((sum, each) => sum + each.workers, 0);
  const mean = known.reduce((sum, each) => sum + each.workers * each.tokens_per_second!, 0) / Math.max(1, workers);
  return devices.flatMap(({ workers: count, tokens_per_second: speed }) =>
    Array<number>(count).fill(speed === null || speed <= 0 ? 1 : speed / mean),
  );
}

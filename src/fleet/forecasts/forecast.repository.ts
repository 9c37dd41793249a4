import { Prisma, type Queryable, type Transaction } from '../../platform/database/database.ts';
import { pageArguments } from '../../platform/contract/pagination.ts';
import type { EvolutionAdvice } from '../evolutions/index.ts';
import type { StoredOptions } from '../rollouts/index.ts';
import type { ForecastResult } from './forecast.result.ts';
import type { ForecastQuery } from './forecast.schemas.ts';

/** States of a forecast that is still to be computed. */
const UNFINISHED = ['queued', 'computing'];

const SHOWN = {
  baseModelVersion: { select: { version: true, baseModel: { select: { name: true } } } },
} satisfies Prisma.RolloutForecastInclude;

export type ForecastRow = Prisma.RolloutForecastGetPayload<{ include: typeof SHOWN }>;

/** Rollout with which a forecast is compared once it has ended. */
export interface OutcomeRow {
  id: string;
  state: string;
  accepted_at: Date;
  finished_at: Date | null;
}

/**
 * Figures measured in a rollout, to be compared with the figures that a forecast predicted. A figure is null if nothing
 * was measured or the measurements have been pruned.
 */
export interface TruthRow {
  device_seconds: number | null;
  control_device_seconds: number | null;
  ttr_p50_ms: number | null;
  ttr_p90_ms: number | null;
  makespan_ms: number | null;
}

/** Evolution from an older base model version, with the drift of groups of modules. */
export interface DriftRow {
  old_base_model_version_id: string;
  state: 'pending' | 'ready' | 'failed';
  drift: number | null;
  advice: EvolutionAdvice | null;
  projections: Record<string, { drift: number | null }> | null;
  unadaptable: Record<string, { drift: number | null }> | null;
}

export interface NewForecast {
  id: string;
  baseModelVersionId: string;
  options: StoredOptions;
}

export function createForecastRepository(db: Queryable) {
  return {
    insert: (tx: Transaction, row: NewForecast): Promise<ForecastRow> =>
      tx.rolloutForecast.create({ data: { ...row, state: 'queued' }, include: SHOWN }),

    /**
     * Stores the forecast of a rollout that is being planned. If the rollout already has a forecast, keeps the old one.
     */
    insertOfRollout: (tx: Queryable, { id, ...row }: NewForecast & { rolloutId: string; result: ForecastResult }) =>
      tx.$executeRaw`
        INSERT INTO rollout_forecasts (id, base_model_version_id, rollout_id, state, options, result, attempt,
          computed_at)
        VALUES (${id}, ${row.baseModelVersionId}, ${row.rolloutId}, 'computed', ${JSON.stringify(row.options)}::jsonb,
          ${JSON.stringify(row.result)}::jsonb, 1, clock_timestamp())
        ON CONFLICT (rollout_id) DO NOTHING`,

    find: (id: string): Promise<ForecastRow | null> => db.rolloutForecast.findUnique({ where: { id }, include: SHOWN }),

    ofRollout: (rolloutId: string): Promise<ForecastRow | null> =>
      db.rolloutForecast.findUnique({ where: { rolloutId }, include: SHOWN }),

    page: (query: ForecastQuery): Promise<ForecastRow[]> => {
      const { where, ...rest } = pageArguments(query);
      const of = query.base_model_version_id;
      return db.rolloutForecast.findMany({
        ...rest,
        where: { ...where, ...(of !== undefined && { baseModelVersionId: of }) },
        include: SHOWN,
      });
    },

    baseModelVersionExists: async (id: string): Promise<boolean> =>
      (await db.baseModelVersion.count({ where: { id } })) > 0,

    /**
     * Begins an attempt to compute a forecast, and counts the attempt. Returns null, and changes nothing, if the
     * forecast is computed or has failed.
     */
    async begin(id: string): Promise<ForecastRow | null> {
      const { count } = await db.rolloutForecast.updateMany({
        where: { id, state: { in: UNFINISHED } },
        data: { state: 'computing', attempt: { increment: 1 }, error: Prisma.DbNull },
      });
      return count === 0 ? null : db.rolloutForecast.findUnique({ where: { id }, include: SHOWN });
    },

    /**
     * Excludes the last attempt to compute a forecast from the count. `error` is the reason why the forecast waits;
     * null if there is none.
     */
    excuse: (id: string, error: Prisma.InputJsonObject | null) =>
      db.rolloutForecast.updateMany({
        where: { id, state: 'computing' },
        data: { excusedAttempts: { increment: 1 }, error: error ?? Prisma.DbNull },
      }),

    /** Stores the reason why an unfinished forecast has to wait. */
    note: (id: string, error: Prisma.InputJsonObject) =>
      db.rolloutForecast.updateMany({ where: { id, state: { in: UNFINISHED } }, data: { error } }),

    /**
     * Ends an unfinished forecast with its result or its error. Returns false, and changes nothing, if the forecast has
     * already ended.
     */
    async end(
      tx: Transaction,
      id: string,
      found: { result: ForecastResult } | { error: Prisma.InputJsonObject },
    ): Promise<boolean> {
      const [state, result, error] =
        'result' in found
          ? ['computed', JSON.stringify(found.result), null]
          : ['failed', null, JSON.stringify(found.error)];
      const count = await tx.$executeRaw`
        UPDATE rollout_forecasts SET state = ${state}, result = ${result}::jsonb, error = ${error}::jsonb,
          computed_at = clock_timestamp()
        WHERE id = ${id} AND state = ANY(${UNFINISHED})`;
      return count === 1;
    },

    countUnfinished: () => db.rolloutForecast.count({ where: { state: { in: UNFINISHED } } }),

    unfinished: (after: string, limit: number) =>
      db.rolloutForecast.findMany({
        where: { state: { in: UNFINISHED }, id: { gt: after } },
        orderBy: { id: 'asc' },
        take: limit,
        select: { id: true },
      }),

    /**
     * Reads the evolutions from older base model versions to the given one. Leaves out the figures of single modules,
     * which are large.
     */
    drifts: (baseModelVersionId: string) =>
      db.$queryRaw<DriftRow[]>`
        SELECT old_base_model_version_id, state::text AS state, drift, summary -> 'advice' AS advice,
          summary -> 'projections' AS projections, summary -> 'unadaptable_parts' AS unadaptable
        FROM evolutions WHERE new_base_model_version_id = ${baseModelVersionId} ORDER BY created_at, id`,

    /**
     * Finds the rollout with which a forecast is compared: the rollout that stored it or, for a dry run, the first
     * later rollout to the same version with the same options. Null if there is none.
     */
    async rolloutOf(row: ForecastRow): Promise<OutcomeRow | null> {
      const which =
        row.rolloutId === null
          ? Prisma.sql`base_model_version_id = ${row.baseModelVersionId} AND accepted_at > ${row.requestedAt}
              AND options = ${JSON.stringify(row.options)}::jsonb`
          : Prisma.sql`id = ${row.rolloutId}`;
      const [found] = await db.$queryRaw<OutcomeRow[]>`
        SELECT id, state::text AS state, accepted_at, finished_at FROM rollouts WHERE ${which} ORDER BY id LIMIT 1`;
      return found ?? null;
    },

    /**
     * Reads the figures measured in a rollout. All figures are about the rollout's adaptations, except for the device
     * time of controls. A device time is null if some of its measurements have been pruned.
     */
    async truth(rolloutId: string): Promise<TruthRow> {
      const [row] = await db.$queryRaw<[TruthRow]>`
        SELECT ${deviceSecondsOf('adaptation')} AS device_seconds, ${deviceSecondsOf('control')} AS
          control_device_seconds,
          percentile_cont(0.5) WITHIN GROUP (ORDER BY j.ttr_ms) FILTER (WHERE j.kind = 'adaptation') AS ttr_p50_ms,
          percentile_cont(0.9) WITHIN GROUP (ORDER BY j.ttr_ms) FILTER (WHERE j.kind = 'adaptation') AS ttr_p90_ms,
          CASE WHEN count(*) FILTER (WHERE j.kind = 'adaptation' AND j.finished_at IS NULL) = 0 THEN (
            EXTRACT(EPOCH FROM max(j.finished_at) FILTER (WHERE j.kind = 'adaptation') - min(r.accepted_at)) *
              1000)::float8
            END AS makespan_ms
        FROM rollouts r JOIN jobs j ON j.rollout_id = r.id
        LEFT JOIN LATERAL (
          SELECT sum(EXTRACT(EPOCH FROM u.ended_at - u.started_at)) AS seconds FROM device_uses u WHERE u.job_id = j.id
        ) AS use ON TRUE
        WHERE r.id = ${rolloutId}`;
      return row;
    },
  };
}

/**
 * Makes the SQL for the sum of device time, in seconds, of all jobs `j` of a kind, from the column `use.seconds`. The
 * sum is null if the device time of a started job is unknown.
 */
function deviceSecondsOf(kind: 'adaptation' | 'control'): Prisma.Sql {
  const ofKind = Prisma.sql`j.kind = ${kind}::job_kind`;
  return Prisma.sql`
    CASE WHEN count(*) FILTER (WHERE ${ofKind} AND j.started_at IS NOT NULL AND use.seconds IS NULL) = 0
      THEN COALESCE(sum(use.seconds) FILTER (WHERE ${ofKind}), 0)::float8 END`;
}

/** Queries on the time since a rollout was accepted and on the jobs of other rollouts that run before its own. */
export const forecastFleetRepository = {
  /** Computes the time since a rollout was accepted, in milliseconds, by the clock of the database. */
  async sinceAcceptance(db: Queryable, rolloutId: string): Promise<number> {
    const [row] = await db.$queryRaw<[{ ms: number }]>`
      SELECT (EXTRACT(EPOCH FROM clock_timestamp() - accepted_at) * 1000)::float8 AS ms FROM rollouts
        WHERE id = ${rolloutId}`;
    return row.ms;
  },

  /**
   * Counts the adaptations of other rollouts that wait in the queue or run. Adds up the counts that each rollout keeps,
   * instead of reading the jobs.
   */
  async jobsAhead(db: Queryable, rolloutId: string | null): Promise<number> {
    const [row] = await db.$queryRaw<[{ jobs: number }]>`
      SELECT COALESCE(sum(c.unfinished), 0)::int AS jobs FROM rollouts r JOIN rollout_counts c ON c.rollout_id = r.id
      WHERE r.state IN ('analyzing', 'adapting') AND r.id IS DISTINCT FROM ${rolloutId}
        AND c.kind = 'adaptation' AND c.state NOT IN ('held', 'paused', 'ready')`;
    return row.jobs;
  },
};

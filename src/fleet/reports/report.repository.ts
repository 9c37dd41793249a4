import { Prisma, type Transaction } from '../../platform/database/database.ts';
import { HELD_SO_FAR, JOB_PHASES, TOTAL, type JobPhase } from '../jobs/index.ts';
import { SPEEDUP } from '../rollouts/index.ts';
import { GROUPS, type GroupBy } from './report.schemas.ts';

/**
 * Jobs that a report covers: the jobs in the given rollouts of one tenant or, if `tenantId` is null, of all tenants.
 */
export interface ReportSelection {
  readonly rolloutIds: readonly string[];
  readonly tenantId: string | null;
}

/** Key by which the adaptations of a report are grouped. With `total`, all of them are one group. */
export type Grouping = GroupBy | 'total';

/**
 * Figures of one group of adaptations: counts of jobs, and times in whole milliseconds. A time is null if too few jobs
 * of the group became ready.
 */
export interface GroupTimesRow {
  readonly by: Grouping;
  readonly id: string | null;
  /**
   * Number of all groups for this grouping key. Only the groups with the most jobs are read, so there may be fewer
   * rows.
   */
  readonly groups: number;
  readonly jobs: number;
  readonly ready: number;
  readonly unfinished: number;
  readonly not_ready: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly p50_ms: number | null;
  readonly p90_ms: number | null;
  readonly max_ms: number | null;
  readonly unheld_p50_ms: number | null;
  readonly unheld_p90_ms: number | null;
  readonly unheld_max_ms: number | null;
}

export type DeviceRow = Pick<GroupTimesRow, 'by' | 'id'> & { readonly seconds: number };

/** Conditions by which a report chooses rollouts: the period of their acceptance, their base model and a tenant. */
export interface RolloutsOf {
  readonly from: Date;
  readonly to: Date | null;
  /** Identifier or name of the base model; null for all base models. */
  readonly baseModel: string | null;
  readonly tenantId: string | null;
}

export interface PhaseRow {
  readonly phase: JobPhase;
  readonly p50: number | null;
  readonly p90: number | null;
  readonly max: number | null;
  readonly sum: number | null;
}

export interface SpeedupRow {
  readonly pairs: number;
  readonly median: number | null;
  readonly log_mean: number | null;
  readonly log_deviation: number | null;
}

/** Largest number of groups that are read for one grouping key. */
const MOST_GROUPS = 1000;
/**
 * Tolerance for rounding errors when an estimated share of jobs, a product of fractions, is compared with a quantile's
 * share.
 */
const ROUNDING = 1e-12;

/**
 * Columns of the jobs table by which each grouping key groups. Their values are sorted byte by byte, which is faster
 * than sorting by the rules of a language.
 */
const KEYS: Readonly<Record<GroupBy, Prisma.Sql>> = {
  tenant: Prisma.sql`tenant_id COLLATE "C"`,
  strategy: Prisma.sql`won_strategy COLLATE "C"`,
  rollout: Prisma.sql`rollout_id COLLATE "C"`,
};

/**
 * Makes the SQL that yields, for each job, its groups as pairs of grouping key and value. A missing value becomes an
 * empty text, because PostgreSQL can use an empty text in a hash join, but not null.
 */
function keysOf(by: readonly GroupBy[]): Prisma.Sql {
  const groups = by.map((name) => Prisma.sql`, (${name}::text, COALESCE(${KEYS[name]}, ''))`);
  return Prisma.sql`CROSS JOIN LATERAL (
    VALUES ('total'::text, '' COLLATE "C") ${Prisma.join(groups, '')}) AS key (by, id)`;
}

/**
 * Makes the SQL for the quantiles 0.5 and 0.9 of a time in each group, from the rows of `spread`. They are the
 * product-limit estimate of Kaplan and Meier (Journal of the American Statistical Association 53, 1958, 457–481), in
 * which unready jobs are censored. A job censored at the time of an event still counts as at risk then. If the estimate
 * equals the quantile's share over an interval, the quantile is the middle of the interval, like the median of
 * uncensored times and R's `quantile.survfit`. A quantile is null if its share is not reached.
 */
function quantilesOf(time: 'ms' | 'unheld_ms'): Prisma.Sql {
  const column = Prisma.raw(`s.${time}`);
  const quantile = (left: number): Prisma.Sql => Prisma.sql`
    min(CASE WHEN abs(survival - ${left}::float8) <= ${ROUNDING}::float8 AND next_ms IS NOT NULL THEN (ms + next_ms) / 2
      ELSE ms END)
      FILTER (WHERE survival <= ${left}::float8 + ${ROUNDING}::float8)`;
  return Prisma.sql`
    SELECT n, ${quantile(1 - 0.5)} AS p50_ms, ${quantile(1 - 0.9)} AS p90_ms
    FROM (
      SELECT n, ms, lead(ms) OVER later AS next_ms, readapt_product(1 - events::float8 / at_risk) OVER later AS survival
      FROM (
        SELECT n, ms, events, sum(leaving) OVER (PARTITION BY n ORDER BY ms DESC)::float8 AS at_risk
        FROM (
          SELECT s.n, ${column} AS ms, count(*) FILTER (WHERE s.is_ready) AS events, count(*)::int AS leaving
          FROM spread s GROUP BY s.n, ${column}
        ) AS at_time
      ) AS risk
      WHERE events > 0 WINDOW later AS (PARTITION BY n ORDER BY ms)
    ) AS step GROUP BY n`;
}

export const reportRepository = {
  /** Sets a time limit, in milliseconds, for each later statement of the transaction. */
  limitStatements: (tx: Transaction, ms: number) =>
    tx.$queryRaw`SELECT set_config('statement_timeout', ${String(ms)}, true)`,

  /**
   * Computes the times of adaptations, of all together and by group. PostgreSQL computes them, because lists of 100,000
   * times would block the API process.
   */
  times: (tx: Transaction, selection: ReportSelection, by: readonly GroupBy[]) =>
    tx.$queryRaw<GroupTimesRow[]>`
      WITH timed AS MATERIALIZED (
        SELECT key.by, key.id, j.ttr_ms IS NOT NULL AS is_ready, j.state, j.finished_at IS NULL AS goes_on,
          round(COALESCE(j.ttr_ms, ${TOTAL})) AS ms,
          round(CASE WHEN j.ttr_ms IS NULL THEN ${TOTAL} - ${HELD_SO_FAR} ELSE j.ttr_ms - j.held_ms END) AS unheld_ms
        FROM jobs j
        CROSS JOIN (SELECT statement_timestamp() AS now) AS present
        CROSS JOIN LATERAL (SELECT COALESCE(j.finished_at, present.now) AS now) AS clock
        ${keysOf(by)}
        WHERE j.kind = 'adaptation' AND ${selected(selection)}
      ), grouped AS (
        SELECT by, id, count(*)::int AS jobs, (count(*) FILTER (WHERE is_ready))::int AS ready,
          (count(*) FILTER (WHERE NOT is_ready AND goes_on))::int AS unfinished,
          (count(*) FILTER (WHERE NOT is_ready AND NOT goes_on AND state = 'not_ready'))::int AS not_ready,
          (count(*) FILTER (WHERE NOT is_ready AND NOT goes_on AND state = 'failed'))::int AS failed,
          (count(*) FILTER (WHERE NOT is_ready AND NOT goes_on AND state = 'cancelled'))::int AS cancelled,
          max(ms) FILTER (WHERE is_ready) AS max_ms, max(unheld_ms) FILTER (WHERE is_ready) AS unheld_max_ms
        FROM timed GROUP BY by, id
      ), chosen AS MATERIALIZED (
        SELECT placed.*, row_number() OVER (ORDER BY by, place) AS n FROM (
          SELECT grouped.*, (count(*) OVER (PARTITION BY by))::int AS groups,
            row_number() OVER (PARTITION BY by ORDER BY jobs DESC, id) AS place
          FROM grouped
        ) AS placed WHERE place <= ${MOST_GROUPS}
      ), spread AS MATERIALIZED (
        SELECT c.n, t.is_ready, t.ms, t.unheld_ms FROM timed t JOIN chosen c ON c.by = t.by AND c.id = t.id
      )
      SELECT c.by, NULLIF(c.id, '') AS id, c.groups, c.jobs, c.ready, c.unfinished, c.not_ready, c.failed, c.cancelled,
        whole.p50_ms, whole.p90_ms, c.max_ms, unheld.p50_ms AS unheld_p50_ms, unheld.p90_ms AS unheld_p90_ms,
          c.unheld_max_ms
      FROM chosen c LEFT JOIN (${quantilesOf('ms')}) AS whole ON whole.n = c.n
      LEFT JOIN (${quantilesOf('unheld_ms')}) AS unheld ON unheld.n = c.n
      ORDER BY c.n`,

  /** Computes how long each phase of the adaptations that became ready lasted. */
  async phases(tx: Transaction, selection: ReportSelection): Promise<PhaseRow[]> {
    const figures = JOB_PHASES.map((phase) => {
      const column = Prisma.raw(`j.${phase}_ms`);
      return Prisma.sql`
        SELECT ${phase}::text AS phase, percentile_cont(0.5) WITHIN GROUP (ORDER BY ${column}) AS p50,
          percentile_cont(0.9) WITHIN GROUP (ORDER BY ${column}) AS p90, max(${column}) AS max, sum(${column}) AS sum
            FROM ready j`;
    });
    const columns = Prisma.raw(JOB_PHASES.map((phase) => `j.${phase}_ms`).join(', '));
    return tx.$queryRaw<PhaseRow[]>`
      WITH ready AS MATERIALIZED (
        SELECT ${columns} FROM jobs j WHERE j.kind = 'adaptation' AND j.ttr_ms IS NOT NULL AND ${selected(selection)}
      ) ${Prisma.join(figures, ' UNION ALL ')}`;
  },

  async speedup(tx: Transaction, selection: ReportSelection): Promise<SpeedupRow> {
    // With a plain join, the planner may read all jobs of the rollout for each control.
    const [row] = await tx.$queryRaw<SpeedupRow[]>`
      WITH chosen AS MATERIALIZED (
        SELECT j.rollout_id, j.adapter_id, j.kind, j.ttr_ms, j.queue_wait_ms, j.held_ms FROM jobs j
          WHERE ${selected(selection)}
      )
      SELECT count(ratio)::int AS pairs, percentile_cont(0.5) WITHIN GROUP (ORDER BY ratio) AS median,
        avg(ln(ratio)) AS log_mean, stddev_samp(ln(ratio)) AS log_deviation
      FROM (
        SELECT ${SPEEDUP} AS ratio FROM chosen c
        JOIN chosen j ON j.rollout_id = c.rollout_id AND j.adapter_id = c.adapter_id AND j.kind = 'adaptation'
        WHERE c.kind = 'control'
      ) AS paired WHERE ratio > 0`;
    return row ?? { pairs: 0, median: null, log_mean: null, log_deviation: null };
  },

  /**
   * Computes for how many seconds the jobs of each group occupied devices, controls included. Reads only uses of
   * devices that ended after the first of the rollouts was accepted, and uses that still go on.
   */
  async deviceSeconds(
    tx: Transaction,
    selection: ReportSelection,
    groups: readonly Pick<GroupTimesRow, 'by' | 'id'>[],
  ): Promise<DeviceRow[]> {
    const by = GROUPS.filter((name) => groups.some((group) => group.by === name));
    if (by.length === 0) return [];
    return tx.$queryRaw<DeviceRow[]>`
      WITH chosen AS MATERIALIZED (
        SELECT j.id, j.tenant_id, j.won_strategy, j.rollout_id, j.leased_at, j.lease_expires_at FROM jobs j
          WHERE ${selected(selection)}
      ), uses AS MATERIALIZED (
        SELECT tenant_id, won_strategy, rollout_id, EXTRACT(EPOCH FROM sum(held))::float8 AS seconds FROM (
          SELECT c.tenant_id, won_strategy, rollout_id, u.ended_at - u.started_at AS held FROM device_uses u
            JOIN chosen c ON c.id = u.job_id
          WHERE u.ended_at >= (SELECT min(accepted_at) FROM rollouts
            WHERE id = ANY(${[...selection.rolloutIds]}::text[]))
          UNION ALL
          SELECT tenant_id, won_strategy, rollout_id, GREATEST(interval '0', LEAST(statement_timestamp(),
            lease_expires_at) - leased_at)
          FROM chosen WHERE leased_at IS NOT NULL
        ) AS each_use GROUP BY 1, 2, 3
      )
      SELECT key.by, NULLIF(key.id, '') AS id, sum(uses.seconds) AS seconds FROM uses ${keysOf(by)}
      JOIN unnest(${groups.map((group) => group.by)}::text[], ${groups.map(({ id }) => id ?? '')}::text[]) AS wanted
        (by, id)
        ON wanted.by = key.by AND wanted.id = key.id
      GROUP BY key.by, key.id`;
  },

  tenantNames: (tx: Transaction, ids: readonly string[]) =>
    tx.$queryRaw<{ id: string; name: string }[]>`SELECT id, name FROM tenants WHERE id = ANY(${[...ids]}::text[])`,

  /** Finds the rollouts that were accepted in a period and have jobs, each with the number of its jobs. */
  rollouts: (tx: Transaction, { from, to, baseModel, tenantId }: RolloutsOf) => {
    const ofModel = Prisma.sql`
      AND v.base_model_id = (SELECT id FROM base_models WHERE id = ${baseModel} OR name = ${baseModel}
        ORDER BY id = ${baseModel} DESC LIMIT 1)`;
    const counts = tenantId === null ? Prisma.sql`rollout_counts` : Prisma.sql`rollout_tenant_counts`;
    return tx.$queryRaw<{ id: string; jobs: number }[]>`
      SELECT r.id, sum(c.jobs)::int AS jobs
      FROM rollouts r JOIN base_model_versions v ON v.id = r.base_model_version_id JOIN ${counts} c
        ON c.rollout_id = r.id
      WHERE r.accepted_at >= ${from} ${to === null ? Prisma.empty : Prisma.sql`AND r.accepted_at < ${to}`}
        ${baseModel === null ? Prisma.empty : ofModel}
          ${tenantId === null ? Prisma.empty : Prisma.sql`AND c.tenant_id = ${tenantId}`}
      GROUP BY r.id HAVING sum(c.jobs) > 0 ORDER BY r.id`;
  },
};

/** Makes the SQL condition that a report covers the job `j`. */
function selected({ rolloutIds, tenantId }: ReportSelection): Prisma.Sql {
  const ofRollouts = Prisma.sql`j.rollout_id = ANY(${[...rolloutIds]}::text[])`;
  return tenantId === null ? ofRollouts : Prisma.sql`${ofRollouts} AND j.tenant_id = ${tenantId}`;
}

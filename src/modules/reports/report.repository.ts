import { Prisma, type Transaction } from '../../lib/database.ts';
import { HELD_SO_FAR, JOB_PHASES, TOTAL, type JobPhase } from '../jobs/index.ts';
import { SPEEDUP } from '../rollouts/index.ts';
import { GROUPS, type GroupBy } from './report.schemas.ts';

/** The jobs that a report is of: those of rollouts, of one tenant or of all. */
export interface Selection {
  readonly rolloutIds: readonly string[];
  readonly tenantId: string | null;
}

/** Adaptations that have the keys in common. Times are whole milliseconds, separated by commas; null where there are none. */
export interface TimesRow {
  readonly tenant: string | null;
  readonly strategy: string | null;
  readonly rollout: string | null;
  readonly unfinished: number;
  readonly not_ready: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly ready_ms: string | null;
  readonly ready_unheld_ms: string | null;
  readonly censored_ms: string | null;
  readonly censored_unheld_ms: string | null;
}

export type DeviceRow = Pick<TimesRow, GroupBy> & { readonly seconds: number };

/** Which rollouts a report is of. */
export interface RolloutsOf {
  readonly from: Date;
  readonly to: Date | null;
  /** The identifier or the name of a base model. */
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

/** Of the jobs `j`. Jobs are sorted by them, and comparing bytes is faster than what a language has for an order. */
const KEYS: Readonly<Record<GroupBy, Prisma.Sql>> = {
  tenant: Prisma.sql`j.tenant_id COLLATE "C"`,
  strategy: Prisma.sql`j.won_strategy COLLATE "C"`,
  rollout: Prisma.sql`j.rollout_id COLLATE "C"`,
};

const NO_KEY = Prisma.sql`NULL::text`;

/** The columns `tenant`, `strategy` and `rollout`; null where jobs are not told apart by it. */
function keysOf(by: readonly GroupBy[]): Prisma.Sql {
  const [tenant, strategy, rollout] = GROUPS.map((key) => (by.includes(key) ? KEYS[key] : NO_KEY));
  return Prisma.sql`${tenant} AS tenant, ${strategy} AS strategy, ${rollout} AS rollout`;
}

export const reportRepository = {
  /** Lets PostgreSQL end each statement of the transaction that takes longer than this. */
  limitStatements: (tx: Transaction, ms: number) =>
    tx.$queryRaw`SELECT set_config('statement_timeout', ${String(ms)}, true)`,

  /** The times of adaptations, by one key or several. */
  times: (tx: Transaction, selection: Selection, by: readonly GroupBy[]) =>
    tx.$queryRaw<TimesRow[]>`
      WITH timed AS MATERIALIZED (
        SELECT ${keysOf(by)}, j.ttr_ms IS NOT NULL AS is_ready, j.state,
          j.finished_at IS NULL AS goes_on, round(COALESCE(j.ttr_ms, ${TOTAL}))::bigint::text AS ms,
          round(CASE WHEN j.ttr_ms IS NULL THEN ${TOTAL} - ${HELD_SO_FAR} ELSE j.ttr_ms - j.held_ms END)::bigint::text AS unheld_ms
        FROM jobs j
        CROSS JOIN (SELECT statement_timestamp() AS now) AS present
        CROSS JOIN LATERAL (SELECT COALESCE(j.finished_at, present.now) AS now) AS clock
        WHERE j.kind = 'adaptation' AND ${selected(selection)}
      )
      SELECT tenant, strategy, rollout,
        (count(*) FILTER (WHERE NOT is_ready AND goes_on))::int AS unfinished,
        (count(*) FILTER (WHERE NOT is_ready AND NOT goes_on AND state = 'not_ready'))::int AS not_ready,
        (count(*) FILTER (WHERE NOT is_ready AND NOT goes_on AND state = 'failed'))::int AS failed,
        (count(*) FILTER (WHERE NOT is_ready AND NOT goes_on AND state = 'cancelled'))::int AS cancelled,
        string_agg(ms, ',') FILTER (WHERE is_ready) AS ready_ms,
        string_agg(unheld_ms, ',') FILTER (WHERE is_ready) AS ready_unheld_ms,
        string_agg(ms, ',') FILTER (WHERE NOT is_ready) AS censored_ms,
        string_agg(unheld_ms, ',') FILTER (WHERE NOT is_ready) AS censored_unheld_ms
      FROM timed GROUP BY tenant, strategy, rollout`,

  /** The phases of adaptations that became ready. */
  async phases(tx: Transaction, selection: Selection): Promise<PhaseRow[]> {
    const figures = JOB_PHASES.map((phase) => {
      const column = Prisma.raw(`j.${phase}_ms`);
      return Prisma.sql`
        SELECT ${phase}::text AS phase, percentile_cont(0.5) WITHIN GROUP (ORDER BY ${column}) AS p50,
          percentile_cont(0.9) WITHIN GROUP (ORDER BY ${column}) AS p90, max(${column}) AS max, sum(${column}) AS sum FROM ready j`;
    });
    const columns = Prisma.raw(JOB_PHASES.map((phase) => `j.${phase}_ms`).join(', '));
    return tx.$queryRaw<PhaseRow[]>`
      WITH ready AS MATERIALIZED (
        SELECT ${columns} FROM jobs j WHERE j.kind = 'adaptation' AND j.ttr_ms IS NOT NULL AND ${selected(selection)}
      ) ${Prisma.join(figures, ' UNION ALL ')}`;
  },

  async speedup(tx: Transaction, selection: Selection): Promise<SpeedupRow> {
    // Joined by itself, the planner may read all jobs of the rollout for each control.
    const [row] = await tx.$queryRaw<SpeedupRow[]>`
      WITH chosen AS MATERIALIZED (
        SELECT j.rollout_id, j.adapter_id, j.kind, j.ttr_ms, j.queue_wait_ms, j.held_ms FROM jobs j WHERE ${selected(selection)}
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

  /** For how long devices were held for jobs, controls included. Uses end after the first of the rollouts was accepted. */
  deviceSeconds: (tx: Transaction, selection: Selection, by: readonly GroupBy[]) =>
    tx.$queryRaw<DeviceRow[]>`
      WITH chosen AS MATERIALIZED (
        SELECT j.id, ${keysOf(by)}, j.leased_at, j.lease_expires_at FROM jobs j WHERE ${selected(selection)}
      ), uses AS (
        SELECT tenant, strategy, rollout, u.ended_at - u.started_at AS held FROM device_uses u JOIN chosen ON chosen.id = u.job_id
        WHERE u.ended_at >= (SELECT min(accepted_at) FROM rollouts WHERE id = ANY(${[...selection.rolloutIds]}::text[]))
        UNION ALL
        SELECT tenant, strategy, rollout, GREATEST(interval '0', LEAST(statement_timestamp(), lease_expires_at) - leased_at)
        FROM chosen WHERE leased_at IS NOT NULL
      )
      SELECT tenant, strategy, rollout, EXTRACT(EPOCH FROM sum(held))::float8 AS seconds FROM uses GROUP BY tenant, strategy, rollout`,

  tenantNames: (tx: Transaction, ids: readonly string[]) =>
    tx.tenant.findMany({ where: { id: { in: [...ids] } }, select: { id: true, name: true } }),

  /** Rollouts that were accepted in a time and have jobs, with the number of these. */
  rollouts: (tx: Transaction, { from, to, baseModel, tenantId }: RolloutsOf) => {
    const ofModel = Prisma.sql`
      AND v.base_model_id = (SELECT id FROM base_models WHERE id = ${baseModel} OR name = ${baseModel} ORDER BY id = ${baseModel} DESC LIMIT 1)`;
    const counts = tenantId === null ? Prisma.sql`rollout_counts` : Prisma.sql`rollout_tenant_counts`;
    return tx.$queryRaw<{ id: string; jobs: number }[]>`
      SELECT r.id, sum(c.jobs)::int AS jobs
      FROM rollouts r JOIN base_model_versions v ON v.id = r.base_model_version_id JOIN ${counts} c ON c.rollout_id = r.id
      WHERE r.accepted_at >= ${from} ${to === null ? Prisma.empty : Prisma.sql`AND r.accepted_at < ${to}`}
        ${baseModel === null ? Prisma.empty : ofModel} ${tenantId === null ? Prisma.empty : Prisma.sql`AND c.tenant_id = ${tenantId}`}
      GROUP BY r.id HAVING sum(c.jobs) > 0 ORDER BY r.id`;
  },
};

/** Of the jobs `j`, those of a report. */
function selected({ rolloutIds, tenantId }: Selection): Prisma.Sql {
  const ofRollouts = Prisma.sql`j.rollout_id = ANY(${[...rolloutIds]}::text[])`;
  return tenantId === null ? ofRollouts : Prisma.sql`${ofRollouts} AND j.tenant_id = ${tenantId}`;
}

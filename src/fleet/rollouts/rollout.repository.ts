import { columnsOf, Prisma, type Queryable, type Transaction } from '../../platform/database/database.ts';
import { readRows } from '../../platform/database/database-reads.ts';
import { sortingOf, type SortColumns } from '../../platform/contract/sorting.ts';
import { unconfined } from '../../platform/database/row-security/confined-database.repository.ts';
import type { RolloutPolicy } from './policy.schemas.ts';
import type { RolloutQuery, StoredOptions } from './rollout.schemas.ts';
import {
  LIVE_ROLLOUT_STATES,
  STOPPED_ROLLOUT_STATES,
  UNPLANNED_ROLLOUT_STATES,
  type RolloutState,
} from './rollout.states.ts';

const SHOWN = {
  baseModelVersion: { select: { version: true, baseModelId: true, baseModel: { select: { name: true } } } },
} satisfies Prisma.RolloutInclude;

const FIELDS = Object.keys(Prisma.RolloutScalarFieldEnum);

export type RolloutRow = Prisma.RolloutGetPayload<{ include: typeof SHOWN }>;

/** Columns by which a list of rollouts can be sorted. */
export const ROLLOUT_SORTS: SortColumns<RolloutRow> = { accepted: null };

export interface CountRow {
  rollout_id: string;
  kind: 'adaptation' | 'control';
  state: string;
  count: number;
  /** Number of jobs of this kind and state that have not ended, including ready jobs that are still being refined. */
  unfinished: number;
  /** Number of changes so far to the counts of this row, or to the time to readiness of a job that the row counts. */
  changes: number;
}

export interface SummaryRow {
  rollout_id: string;
  median_ttr_ms: number | null;
  makespan_ms: number | null;
  median_speedup: number | null;
}

/**
 * Evolution from the base model version `old_base_model_version_id` to that of a rollout. `advice` is what the analysis
 * has stored.
 */
export interface RolloutEvolutionRow {
  old_base_model_version_id: string;
  state: 'pending' | 'ready' | 'failed';
  drift: number | null;
  advice: unknown;
  differences: { field: string; old: unknown; new: unknown }[] | null;
}

/** Rollout with the rows of other tables that the answer about it shows. */
export interface ShownRollout extends RolloutRow {
  /** Number of jobs of each kind in each state. A state that all jobs have left is listed with zero. */
  counts: CountRow[];
  /** Evolutions to the rollout's base model version, without the figures of single modules, which are large. */
  evolutions: RolloutEvolutionRow[];
}

interface NewRollout {
  id: string;
  baseModelVersionId: string;
  options: StoredOptions;
  /** Deadline in the rollout's policy; null if there is none. */
  deadline: Date | null;
  traceparent: string | null;
}

export interface RolloutMove {
  from: readonly RolloutState[];
  next: RolloutState;
  error?: Prisma.InputJsonObject | null;
}

/**
 * SQL for the speed-up of the adaptation `j`: the time that the control `c` took, divided by the time that the
 * adaptation took, both without the time in the queue and the time held. Null unless both are ready.
 */
export const SPEEDUP = Prisma.sql`(c.ttr_ms - c.queue_wait_ms - c.held_ms)
  / NULLIF(j.ttr_ms - j.queue_wait_ms - j.held_ms, 0)`;

export function createRolloutRepository(db: Queryable) {
  return {
    insert: (tx: Transaction, row: NewRollout) => tx.rollout.create({ data: row, include: SHOWN }),

    find: (id: string, tx: Queryable = db): Promise<RolloutRow | null> =>
      tx.rollout.findUnique({ where: { id }, include: SHOWN }),

    /**
     * Reads a rollout with everything that its answer shows. `tenantId` is the tenant to which the caller is confined,
     * or null for the operator.
     */
    async shown(id: string, tenantId: string | null): Promise<ShownRollout | null> {
      const [row] = await shown(db, Prisma.sql`SELECT * FROM rollouts WHERE id = ${id}`, { tenantId });
      return row ?? null;
    },

    page: async (query: RolloutQuery, tenantId: string | null): Promise<ShownRollout[]> =>
      shown(db, await pageOf(db, '*', query), { tenantId, query }),

    baseModelVersionExists: async (id: string, tx: Queryable = db) =>
      (await tx.baseModelVersion.count({ where: { id } })) > 0,

    /**
     * Reads the policy of the base model, which applies to rollouts that are requested without one; null if there is
     * none.
     */
    async defaultPolicy(baseModelVersionId: string, tx: Queryable = db): Promise<RolloutPolicy | null> {
      const { baseModel } = await tx.baseModelVersion.findUniqueOrThrow({
        where: { id: baseModelVersionId },
        select: { baseModel: { select: { policy: true } } },
      });
      return baseModel.policy as RolloutPolicy | null;
    },

    /** Finds a rollout to this base model version that has not ended, or whose jobs are still being cancelled. */
    liveRollout: (baseModelVersionId: string, tx: Queryable = db) =>
      tx.rollout.findFirst({
        where: {
          baseModelVersionId,
          OR: [
            { state: { in: [...LIVE_ROLLOUT_STATES] } },
            { state: { in: [...STOPPED_ROLLOUT_STATES] }, finishedAt: null },
          ],
        },
        select: { id: true },
      }),

    lockBaseModelVersion: (id: string, tx: Transaction) =>
      tx.$queryRaw`SELECT id FROM base_model_versions WHERE id = ${id} FOR NO KEY UPDATE`,

    lock: async (id: string, tx: Transaction) => {
      const [row] = await tx.$queryRaw<{ state: RolloutState }[]>`
        SELECT state FROM rollouts WHERE id = ${id} FOR NO KEY UPDATE`;
      return row ?? null;
    },

    /**
     * Moves a rollout to the state `next` if its state is one of `from`; returns whether it was moved. A rollout that
     * is moved to `cancelled` or `failed` gets its `finished_at` only when its jobs are cancelled too.
     */
    async move(tx: Transaction, id: string, { from, next, error = null }: RolloutMove): Promise<boolean> {
      const count = await tx.$executeRaw`
        WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
        UPDATE rollouts r SET state = ${next}::rollout_state,
          error = ${error === null ? null : JSON.stringify(error)}::jsonb,
          analysis_started_at = CASE WHEN ${next} = 'analyzing' THEN clock.now ELSE r.analysis_started_at END,
          planned_at = CASE WHEN ${next} = 'adapting' THEN clock.now ELSE r.planned_at END,
          paused_at = NULL, paused_reason = NULL, updated_at = clock.now
        FROM clock WHERE r.id = ${id} AND r.state = ANY(${[...from]}::rollout_state[])`;
      return count === 1;
    },

    finishStopped: (tx: Transaction, id: string) =>
      tx.$executeRaw`
        UPDATE rollouts SET finished_at = clock_timestamp(), updated_at = clock_timestamp()
        WHERE id = ${id} AND state = ANY(${[...STOPPED_ROLLOUT_STATES]}::rollout_state[]) AND finished_at IS NULL`,

    /** Finds cancelled or failed rollouts that still have jobs to cancel. */
    unfinishedCancellations: (tx: Queryable = db) =>
      tx.rollout.findMany({
        where: { state: { in: [...STOPPED_ROLLOUT_STATES] }, finishedAt: null },
        select: { id: true },
      }),

    /** Counts the start of an attempt to analyze a rollout. */
    countAnalysis: (tx: Transaction, id: string) =>
      tx.$executeRaw`
        UPDATE rollouts SET attempt = attempt + 1, error = NULL, updated_at = clock_timestamp()
        WHERE id = ${id} AND state = 'analyzing'`,

    /** Takes the last attempt to analyze a rollout out of the count, and stores why the rollout waits. */
    excuseAnalysis: (tx: Transaction, id: string, error: Prisma.InputJsonObject | null) =>
      tx.$executeRaw`
        UPDATE rollouts SET excused_attempts = excused_attempts + 1, updated_at = clock_timestamp(),
          error = ${error === null ? null : JSON.stringify(error)}::jsonb
        WHERE id = ${id} AND state = 'analyzing'`,

    /**
     * Reads a text that changes whenever the answer about a rollout changes; null if the rollout does not exist. Nobody
     * is shown the text, so it is read without the transaction that confines a tenant, which would take three times as
     * long.
     */
    async version(id: string, tenantId: string | null): Promise<string | null> {
      const statement = Prisma.sql`SELECT ${versionOf(tenantId)} AS version FROM rollouts r WHERE r.id = ${id}`;
      const [row] = await readRows<{ version: string }>(unconfined(db), statement);
      return row?.version ?? null;
    },

    /**
     * Reads a text that changes whenever a page of rollouts changes. As in {@link version}, it is read without the
     * transaction that confines a tenant.
     */
    async pageVersion(query: RolloutQuery, tenantId: string | null): Promise<string> {
      const page = await pageOf(unconfined(db), 'id, xmin, base_model_version_id', query);
      const statement = Prisma.sql`
        SELECT string_agg(r.id || ${versionOf(tenantId)}, ' ' ORDER BY r.id) AS version FROM (${page}) AS r`;
      const [row] = await readRows<{ version: string | null }>(unconfined(db), statement);
      return row?.version ?? '';
    },

    /**
     * Computes the median times, speed-ups and makespans of rollouts over the jobs of one tenant or, if `tenantId` is
     * null, of all tenants.
     */
    summaries: (rolloutIds: readonly string[], tenantId: string | null) =>
      readRows<SummaryRow>(
        db,
        Prisma.sql`
        SELECT r.id AS rollout_id,
          percentile_cont(0.5) WITHIN GROUP (ORDER BY j.ttr_ms) AS median_ttr_ms,
          CASE WHEN count(*) > 0 AND count(*) = count(j.finished_at)
            THEN (EXTRACT(EPOCH FROM max(j.finished_at) - r.accepted_at) * 1000)::float8 END AS makespan_ms,
          percentile_cont(0.5) WITHIN GROUP (ORDER BY ${SPEEDUP}) AS median_speedup
        FROM rollouts r
        JOIN jobs j ON j.rollout_id = r.id AND j.kind = 'adaptation'
        LEFT JOIN jobs c ON c.rollout_id = r.id AND c.adapter_id = j.adapter_id AND c.kind = 'control'
        WHERE r.id = ANY(${[...rolloutIds]}::text[]) AND (${tenantId}::text IS NULL OR j.tenant_id = ${tenantId})
        GROUP BY r.id`,
      ),

    countUnplanned: (tx: Queryable = db) =>
      tx.rollout.count({ where: { state: { in: [...UNPLANNED_ROLLOUT_STATES] } } }),

    unplanned: (after: string, limit: number, tx: Queryable = db) =>
      tx.rollout.findMany({
        where: { state: { in: [...UNPLANNED_ROLLOUT_STATES] }, id: { gt: after } },
        orderBy: { id: 'asc' },
        take: limit,
        select: { id: true, options: true },
      }),

    /** Finds running rollouts that have nothing left to do and are not marked as completed yet. */
    unsettled: (tx: Queryable = db) =>
      tx.$queryRaw<{ id: string }[]>`
        SELECT r.id FROM rollouts r WHERE r.state = 'adapting' AND NOT EXISTS (
          SELECT 1 FROM rollout_counts WHERE rollout_id = r.id AND (unfinished > 0 OR baselines_pending > 0))
          AND NOT EXISTS (SELECT 1 FROM late_adapters WHERE rollout_id = r.id)
          AND NOT EXISTS (SELECT 1 FROM provisional_requests WHERE rollout_id = r.id)`,
  };
}

/** Reads rollouts in the order of the query, with the rows of other tables that answers show. */
function shown(
  db: Queryable,
  rollouts: Prisma.Sql,
  { tenantId, query = {} }: { tenantId: string | null; query?: RolloutQuery },
): Promise<ShownRollout[]> {
  const statement = Prisma.sql`
    SELECT ${columnsOf('r', FIELDS)}, json_build_object('version', v.version, 'baseModelId', v.base_model_id,
      'baseModel', json_build_object('name', m.name)) AS "baseModelVersion",
      COALESCE((
        SELECT json_agg(json_build_object('rollout_id', c.rollout_id, 'kind', c.kind, 'state', c.state, 'count', c.jobs,
          'unfinished', c.unfinished, 'changes', c.changes))
        FROM ${countsOf(tenantId)} c WHERE c.rollout_id = r.id
      ), '[]') AS counts,
      COALESCE((
        SELECT json_agg(json_build_object('old_base_model_version_id', e.old_base_model_version_id, 'state', e.state,
          'drift', e.drift, 'advice', e.summary -> 'advice', 'differences', e.differences) ORDER BY e.created_at, e.id)
        FROM evolutions e WHERE e.new_base_model_version_id = r.base_model_version_id
      ), '[]') AS evolutions
    FROM (${rollouts}) AS r
    JOIN base_model_versions v ON v.id = r.base_model_version_id JOIN base_models m ON m.id = v.base_model_id
    ORDER BY ${sortingOf(query, ROLLOUT_SORTS).orderBy('r.')}`;
  return readRows(db, statement);
}

/** Makes the SQL for one page of rollouts, plus one more rollout, which tells whether another page follows. */
async function pageOf(
  db: Queryable,
  columns: '*' | 'id, xmin, base_model_version_id',
  query: RolloutQuery,
): Promise<Prisma.Sql> {
  const sorting = sortingOf(query, ROLLOUT_SORTS);
  const inState =
    query.state === undefined ? Prisma.empty : Prisma.sql`AND state = ANY(${query.state}::rollout_state[])`;
  const ofModel =
    query.base_model === undefined ? Prisma.empty : ofBaseModel(await baseModelIdOf(query.base_model, db));
  return Prisma.sql`
    SELECT ${Prisma.raw(columns)} FROM rollouts WHERE TRUE ${sorting.rest()} ${inState} ${ofModel}
    ORDER BY ${sorting.orderBy()} LIMIT ${sorting.take}`;
}

/** Finds a base model by its identifier or name. Returns its identifier, or the empty text if there is none. */
async function baseModelIdOf(reference: string, tx: Queryable): Promise<string> {
  const [row] = await tx.$queryRaw<{ id: string }[]>`
    SELECT id FROM base_models WHERE id = ${reference} OR name = ${reference} ORDER BY id = ${reference} DESC LIMIT 1`;
  return row?.id ?? '';
}

function ofBaseModel(id: string): Prisma.Sql {
  return Prisma.sql`AND base_model_version_id IN (
    SELECT v.id FROM base_model_versions v WHERE v.base_model_id = ${id})`;
}

/** Makes the SQL for the counts of jobs, of one tenant or, if `tenantId` is null, of all tenants. */
function countsOf(tenantId: string | null): Prisma.Sql {
  return tenantId === null
    ? Prisma.sql`rollout_counts`
    : Prisma.sql`(SELECT * FROM rollout_tenant_counts WHERE tenant_id = ${tenantId})`;
}

/**
 * Makes the SQL for a text that changes whenever the answer about the rollout `r` changes. It consists of `xmin` of the
 * rollout's row, the number of changes to its counts, and `xmin` of each evolution to its base model version. `xmin` is
 * the transaction that wrote a row, which differs after each update.
 */
function versionOf(tenantId: string | null): Prisma.Sql {
  return Prisma.sql`concat_ws('/', r.xmin,
    (SELECT sum(c.changes) FROM ${countsOf(tenantId)} c WHERE c.rollout_id = r.id),
    (SELECT string_agg(e.xmin::text, ',' ORDER BY e.id) FROM evolutions e
      WHERE e.new_base_model_version_id = r.base_model_version_id))`;
}

import { columnsOf, Prisma, type Database, type Queryable } from '../../platform/database/database.ts';
import { readRows } from '../../platform/database/database-reads.ts';
import { exactTime, sortingOf, type SortColumns } from '../../platform/contract/sorting.ts';
import { unconfined } from '../../platform/database/row-security/confined-database.repository.ts';
import { FIRST_RUNNING, type CommitPosition } from '../../delivery/events/index.ts';
import type { JobQuery, MetricQuery } from './job.schemas.ts';
import type { JobState } from './job.states.ts';
import { IS_LIMITED, startTagsOf, WAITING } from './order/start-tags.ts';
import { conditions, pageOfJobs } from './page/job-page.repository.ts';

/** The columns that answers show. */
const FIELDS = [
  ...(['id', 'rolloutId', 'tenantId', 'adapterId', 'kind', 'state', 'phase', 'strategy', 'wonStrategy'] as const),
  ...(['fusionAlpha', 'fusionBeta', 'step', 'totalSteps', 'metricName', 'metricTarget', 'metricOld'] as const),
  ...(['metricAnchor', 'anchorVersionId'] as const),
  ...(['metricNone', 'metricCopy', 'metricBest', 'ttrMs', 'queueWaitMs', 'prepareMs', 'evolutionMs'] as const),
  ...(['initializeMs', 'fineTuneMs', 'evaluateMs', 'publishMs', 'heldMs', 'attempt', 'error', 'appendEos'] as const),
  ...(['appendEosReason', 'maxLength', 'createdAt', 'startedAt', 'readyAt', 'finishedAt'] as const),
  ...(['updatedAt', 'certificate', 'approval', 'wave', 'pausedAt', 'pausedBy', 'ownOptions'] as const),
  ...(['phaseSince'] as const),
] as const satisfies readonly (keyof Prisma.JobGetPayload<object>)[];

export type JobRow = Pick<Prisma.JobGetPayload<object>, (typeof FIELDS)[number]> & {
  warnings: string[];
  adapterName: string;
  /** The latest version that the job has published. */
  publishedId: string | null;
  /** The job to an older base model version for which it is held. */
  waitsForId: string | null;
  /** When it ended, with microseconds. */
  finishedExactly: string | null;
};

/** What jobs are sorted by. */
export const JOB_SORTS: SortColumns<JobRow> = {
  created: null,
  finished: { column: 'finished_at', kind: 'time', valueOf: (row) => row.finishedExactly ?? '' },
  ttr: { column: 'ttr_ms', kind: 'number', valueOf: (row) => String(row.ttrMs) },
};

/** A job to be inserted. With an `error` it cannot run and is inserted as failed. */
export interface PlannedJob {
  id: string;
  sourceVersionId: string;
  kind: 'adaptation' | 'control';
  error: Prisma.InputJsonObject | null;
  /** The job to an older base model version that has to end first. */
  waitsFor?: string | undefined;
}

/** How jobs are planned. */
export interface Planning {
  readonly rolloutId: string;
  readonly strategy: string;
  /** Whether their adapters were imported after the others had been planned. */
  readonly late?: boolean;
}

/** A job that was inserted. */
type Planned = Omit<LiveJob, 'ended'> & { state: JobState; admission: 'waiting' | null };

/** A job for which something should be in the queue. */
export interface LiveJob {
  id: string;
  kind: 'adaptation' | 'control';
  /** See {@link startTagsOf}; null for controls. */
  start_tag: number | null;
  /** Whether only its baselines are left. */
  ended: boolean;
}

/** Jobs that are still to be run or refined and need not wait, and those whose baselines are to be measured. */
const LIVE = Prisma.sql`(j.baselines_pending OR (
  j.finished_at IS NULL AND j.paused_at IS NULL AND j.state <> 'held' AND j.admission IS DISTINCT FROM 'waiting'))`;

/** Rollouts `r` that go on and have jobs; of one that is analyzed, some may be planned already. No job of a paused one is queued. */
const WITH_JOBS = Prisma.sql`r.state IN ('analyzing', 'adapting')`;

/** What of a page of planned jobs is about to be queued. */
const PLANNED_TO_QUEUE = Prisma.sql`
  SELECT p.id, p.tenant_id, p.id AS place FROM planned p WHERE p.state = 'queued' AND p.kind = 'adaptation'`;

/**
 * What the answer of the job `j` depends on: its last change, and the versions that it has published. `xmin` is the transaction
 * that wrote a row, so it differs after each update.
 */
const VERSION = Prisma.sql`concat_ws('/', j.change_seq,
  (SELECT string_agg(v.xmin::text, ',' ORDER BY v.id) FROM adapter_versions v WHERE v.job_id = j.id))`;

export function createJobRepository(db: Database) {
  const byState = (tx: Queryable): Queryable => (tx === db ? unconfined(db) : tx);
  return {
    async find(id: string, tenantId: string | null, tx: Queryable = db): Promise<JobRow | null> {
      const [row] = await shown(tx, Prisma.sql`SELECT * FROM jobs WHERE id = ${id} ${conditions({}, tenantId)}`);
      return row ?? null;
    },

    async page(query: JobQuery, tenantId: string | null, tx: Queryable = db): Promise<JobRow[]> {
      const list = { query, tenantId, sorting: sortingOf(query, JOB_SORTS) };
      if (query.state === undefined || tenantId === null) return shown(tx, pageOfJobs('*', list), query);
      // Under row-level security no index on the state can be used. Only the identifiers come from outside of it.
      const ids = await readRows<{ id: string }>(byState(tx), pageOfJobs('id', list));
      return shown(tx, Prisma.sql`SELECT * FROM jobs WHERE id = ANY(${ids.map(({ id }) => id)}::text[])`, query);
    },

    /**
     * What a job's answer depends on, as a text that differs after each change of it; null if it does not exist. Nobody is shown it,
     * so it is read without the transaction that confines a tenant, which takes three times as long.
     */
    async version(id: string, tenantId: string | null): Promise<string | null> {
      const statement = Prisma.sql`
        SELECT ${VERSION} AS version FROM jobs j WHERE j.id = ${id} ${conditions({}, tenantId)}`;
      const [row] = await readRows<{ version: string }>(unconfined(db), statement);
      return row?.version ?? null;
    },

    /** The same of a page. */
    async pageVersion(query: JobQuery, tenantId: string | null): Promise<string> {
      const list = { query, tenantId, sorting: sortingOf(query, JOB_SORTS) };
      const statement = Prisma.sql`
        SELECT string_agg(j.id || ' ' || ${VERSION}, ' ' ORDER BY j.id) AS version
        FROM (${pageOfJobs('id, change_seq', list)}) AS j`;
      const [row] = await readRows<{ version: string | null }>(unconfined(db), statement);
      return row?.version ?? '';
    },

    /** Jobs that have changed after a position, in the order of commits, as they are now. */
    async changedAfter(
      { transaction, sequence }: CommitPosition,
      query: JobQuery,
      tenantId: string | null,
      tx: Queryable = db,
    ): Promise<{ rows: JobRow[]; last: CommitPosition | null }> {
      const statement = Prisma.sql`
        SELECT id, change_transaction_id AS transaction, change_seq AS sequence FROM jobs
        WHERE (change_transaction_id, change_seq) > (${transaction}::bigint, ${sequence}::bigint)
          AND change_transaction_id < ${FIRST_RUNNING} ${conditions(query, tenantId)}
        ORDER BY change_transaction_id, change_seq LIMIT ${query.limit ?? 50}`;
      const changed = await readRows<{ id: string; transaction: bigint; sequence: bigint }>(tx, statement);
      const ids = changed.map(({ id }) => id);
      const rows = await shown(tx, Prisma.sql`SELECT * FROM jobs WHERE id = ANY(${ids}::text[])`);
      const byId = new Map(rows.map((row) => [row.id, row]));
      return { rows: changed.flatMap(({ id }) => byId.get(id) ?? []), last: changed.at(-1) ?? null };
    },

    metricPoints: (jobId: string, query: MetricQuery, tx: Queryable = db) =>
      tx.metricPoint.findMany({
        where: {
          jobId,
          name: query.name,
          ...(query.since_id === undefined ? {} : { id: { gt: BigInt(query.since_id) } }),
        },
        orderBy: { id: 'asc' },
        take: query.limit ?? 1000,
      }),

    /**
     * Inserts jobs of a rollout with one statement. Their clocks start with the time since the rollout was
     * accepted: the wait until its analysis began, the analysis itself, and the pauses of both. A control needs no analysis, so
     * for it the first two count as waiting.
     * Where the rollout has a policy, its waves are decided before, and a job of a later wave is held, as is one that waits for another
     * job, or for its tenant's approval. All others get their start tags, and wait to be admitted where the rollout's concurrency is limited.
     * The clock of a late one starts with the import, and no wave that is over gets it.
     * @returns those that the rollout did not have yet
     */
    plan: (tx: Queryable, { rolloutId, strategy, late = false }: Planning, jobs: readonly PlannedJob[]) =>
      tx.$queryRaw<Planned[]>`
        WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now),
        planned AS MATERIALIZED (
          SELECT p.*, v.tenant_id, v.adapter_id, v.created_at AS source_created_at, CASE WHEN p.error IS NOT NULL THEN 'failed'
            WHEN p.waits OR placed.wave > r.wave OR asked.approval IS NOT NULL THEN 'held' ELSE 'queued' END::job_state AS state,
            placed.wave, asked.approval
          FROM unnest(
            ${jobs.map((job) => job.id)}::text[], ${jobs.map((job) => job.sourceVersionId)}::text[],
            ${jobs.map((job) => job.kind)}::job_kind[],
            ${jobs.map((job) => (job.error === null ? null : JSON.stringify(job.error)))}::jsonb[],
            ${jobs.map((job) => job.waitsFor !== undefined)}::boolean[]
          ) AS p (id, source_version_id, kind, error, waits)
          JOIN adapter_versions v ON v.id = p.source_version_id
          JOIN adapters a ON a.id = v.adapter_id
          JOIN rollouts r ON r.id = ${rolloutId}
          LEFT JOIN wave_members m ON m.rollout_id = r.id AND m.adapter_id = v.adapter_id
          CROSS JOIN LATERAL (
            SELECT CASE WHEN r.wave_limits IS NULL THEN NULL WHEN p.kind = 'control' THEN cardinality(r.wave_limits) + 1
              ELSE COALESCE(m.wave, 1 + (SELECT count(*)::int FROM unnest(r.wave_limits) AS limits (rank)
                  WHERE ${waveRank(rolloutId, Prisma.sql`v.adapter_id`)} > limits.rank COLLATE "C")) END AS wave
          ) AS assigned
          CROSS JOIN LATERAL (
            SELECT CASE WHEN ${late} THEN GREATEST(assigned.wave, r.wave + CASE WHEN r.awaiting_approval THEN 1 ELSE 0 END)
              ELSE assigned.wave END AS wave
          ) AS placed
          CROSS JOIN LATERAL (
            SELECT CASE WHEN p.kind = 'adaptation' AND a.approval = 'tenant' THEN 'awaited' END AS approval
          ) AS asked
        ),
        ${startTagsOf(rolloutId, PLANNED_TO_QUEUE)}
        INSERT INTO jobs (
          id, tenant_id, rollout_id, adapter_id, source_version_id, kind, state, strategy, metric_name, metric_target, error,
          queue_wait_ms, evolution_ms, held_ms, approval, wave, start_tag, admission, phase, phase_since, created_at, updated_at, finished_at
        )
        SELECT p.id, p.tenant_id, r.id, p.adapter_id, p.source_version_id, p.kind, p.state,
          CASE p.kind WHEN 'control' THEN 'scratch' ELSE ${strategy} END, a.metric,
          CASE a.gate ->> 'kind' WHEN 'absolute' THEN (a.gate ->> 'target')::float8 END, p.error,
          CASE p.kind WHEN 'control' THEN times.waited + times.analyzed ELSE times.waited END,
          CASE p.kind WHEN 'control' THEN 0 ELSE times.analyzed END, times.held,
          p.approval, p.wave, t.tag, CASE WHEN p.state = 'queued' AND ${IS_LIMITED} THEN 'waiting' END,
          CASE p.state WHEN 'held' THEN 'held' ELSE 'queue_wait' END::job_phase,
          clock.now, clock.now, clock.now, CASE WHEN p.error IS NULL THEN NULL ELSE clock.now END
        FROM planned p
        LEFT JOIN tags t ON t.id = p.id
        JOIN adapters a ON a.id = p.adapter_id
        JOIN rollouts r ON r.id = ${rolloutId}
        CROSS JOIN clock
        CROSS JOIN LATERAL (
          SELECT (EXTRACT(EPOCH FROM r.analysis_started_at - r.accepted_at) * 1000)::float8 - r.held_waiting_ms AS waited,
                 (EXTRACT(EPOCH FROM clock.now - r.analysis_started_at) * 1000)::float8 - r.held_analyzing_ms AS analyzed,
                 r.held_waiting_ms + r.held_analyzing_ms AS held WHERE NOT ${late}
          UNION ALL
          SELECT (EXTRACT(EPOCH FROM GREATEST(clock.now - p.source_created_at, '0')) * 1000)::float8, 0, 0 WHERE ${late}
        ) AS times
        -- Its tenant may have pinned it since the page was read.
        WHERE NOT COALESCE(a.pinned_base_model_version_id <> r.base_model_version_id, FALSE)
        ON CONFLICT (rollout_id, adapter_id, kind) DO NOTHING RETURNING id, kind, state::text AS state, start_tag, admission`,

    expired: (limit: number, tx: Queryable = db) =>
      tx.$queryRaw<Omit<LiveJob, 'ended'>[]>`
        SELECT id, kind, start_tag FROM jobs
        WHERE lease_expires_at < statement_timestamp() AND finished_at IS NULL AND lease_owner IS NOT NULL
        ORDER BY lease_expires_at LIMIT ${limit}`,

    /** Live jobs of rollouts that go on, by the rollouts' counts, without those that wait to be admitted. */
    async countLive(tx: Queryable = db): Promise<number> {
      const [row] = await tx.$queryRaw<{ count: number | null }[]>`
        SELECT sum(of_rollout.live - CASE WHEN ${IS_LIMITED} THEN (
          SELECT count(*) FROM jobs j WHERE j.rollout_id = r.id AND ${WAITING}) ELSE 0 END)::int AS count
        FROM rollouts r CROSS JOIN LATERAL (
          SELECT sum(c.baselines_pending + CASE WHEN c.state IN ('held', 'paused') THEN 0 ELSE c.unfinished END) AS live
          FROM rollout_counts c WHERE c.rollout_id = r.id
        ) AS of_rollout WHERE ${WITH_JOBS}`;
      return row?.count ?? 0;
    },

    live: (after: string, limit: number, tx: Queryable = db) =>
      tx.$queryRaw<LiveJob[]>`
        SELECT j.id, j.kind, j.start_tag, j.finished_at IS NOT NULL AS ended
        FROM rollouts r JOIN jobs j ON j.rollout_id = r.id
        WHERE ${WITH_JOBS} AND ${LIVE} AND j.id > ${after} ORDER BY j.id LIMIT ${limit}`,
  };
}

/** The place of an adapter among those of a rollout, by which waves are chosen. Texts are compared byte by byte. */
export function waveRank(rolloutId: string, adapterId: Prisma.Sql): Prisma.Sql {
  return Prisma.sql`encode(sha256(convert_to(${`${rolloutId}:`} || ${adapterId}, 'UTF8')), 'hex') COLLATE "C"`;
}

/**
 * The jobs of a query in SQL, with what answers show of other tables, in its order. A deleted adapter has its identifier after its name,
 * which is not shown: what a job's answer depends on does not change with it.
 */
function shown(db: Queryable, jobs: Prisma.Sql, query: JobQuery = {}): Promise<JobRow[]> {
  const statement = Prisma.sql`
    SELECT ${columnsOf('j', FIELDS)}, COALESCE(j.warnings, '{}') AS warnings, split_part(a.name, '~', 1) AS "adapterName", (
      SELECT v.id FROM adapter_versions v WHERE v.job_id = j.id AND NOT v.provisional ORDER BY v.number DESC LIMIT 1
    ) AS "publishedId", (
      SELECT w.waits_for_job_id FROM job_waits w WHERE w.job_id = j.id AND j.finished_at IS NULL
    ) AS "waitsForId", ${exactTime('j.finished_at')} AS "finishedExactly"
    FROM (${jobs}) AS j JOIN adapters a ON a.id = j.adapter_id ORDER BY ${sortingOf(query, JOB_SORTS).orderBy('j.')}`;
  return readRows(db, statement);
}

import { columnsOf, Prisma, type Database, type Queryable } from '../../platform/database/database.ts';
import { readRows } from '../../platform/database/database-reads.ts';
import { exactTime, sortingOf, type SortColumns } from '../../platform/contract/sorting.ts';
import { unconfined } from '../../platform/database/row-security/confined-database.repository.ts';
import { FIRST_RUNNING, type CommitPosition } from '../../delivery/events/index.ts';
import type { JobQuery, MetricQuery } from './job.schemas.ts';
import { conditions, pageOfJobs } from './page/job-page.repository.ts';

/** Columns of the jobs table that answers about a job show. */
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
  /** Identifier of the latest adapter version that the job has published; null if it has published none. */
  publishedId: string | null;
  /**
   * Identifier of the job for whose end this job waits: it carries the same adapter over to an older base model
   * version. Null if this job waits for none.
   */
  waitsForId: string | null;
  /**
   * Time of the job's end as text in microseconds, because a `Date` has only milliseconds; null if the job has not
   * ended.
   */
  finishedExactly: string | null;
};

/** Columns by which a list of jobs can be sorted. */
export const JOB_SORTS: SortColumns<JobRow> = {
  created: null,
  finished: { column: 'finished_at', kind: 'time', valueOf: (row) => row.finishedExactly ?? '' },
  ttr: { column: 'ttr_ms', kind: 'number', valueOf: (row) => String(row.ttrMs) },
};

/**
 * SQL for a text that changes whenever the answer about the job `j` changes. It consists of the number of the job's
 * last change, and `xmin` of each published version: the transaction that wrote the row, which differs after each
 * update.
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
      // Row-level security rules out every index on the state, so only the identifiers are read outside of it.
      const ids = await readRows<{ id: string }>(byState(tx), pageOfJobs('id', list));
      return shown(tx, Prisma.sql`SELECT * FROM jobs WHERE id = ANY(${ids.map(({ id }) => id)}::text[])`, query);
    },

    /**
     * Reads a text that changes whenever the answer about a job changes; null if the job does not exist. Nobody is
     * shown the text, so it is read without the transaction that confines a tenant, which would take three times as
     * long.
     */
    async version(id: string, tenantId: string | null): Promise<string | null> {
      const statement = Prisma.sql`
        SELECT ${VERSION} AS version FROM jobs j WHERE j.id = ${id} ${conditions({}, tenantId)}`;
      const [row] = await readRows<{ version: string }>(unconfined(db), statement);
      return row?.version ?? null;
    },

    /**
     * Reads a text that changes whenever a page of jobs changes. As in {@link version}, it is read without the
     * transaction that confines a tenant.
     */
    async pageVersion(query: JobQuery, tenantId: string | null): Promise<string> {
      const list = { query, tenantId, sorting: sortingOf(query, JOB_SORTS) };
      const statement = Prisma.sql`
        SELECT string_agg(j.id || ' ' || ${VERSION}, ' ' ORDER BY j.id) AS version
        FROM (${pageOfJobs('id, change_seq', list)}) AS j`;
      const [row] = await readRows<{ version: string | null }>(unconfined(db), statement);
      return row?.version ?? '';
    },

    /**
     * Reads a page of the jobs whose latest change was committed after a given position, in the order of these commits.
     * Each job is read in its present state.
     */
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
  };
}

/**
 * Reads jobs in the order of the query, with the columns of other tables that answers show. The name of a deleted
 * adapter ends with `~` and the adapter's identifier. This end is cut off, so that a deletion does not change the
 * answer about a job.
 */
function shown(db: Queryable, jobs: Prisma.Sql, query: JobQuery = {}): Promise<JobRow[]> {
  const statement = Prisma.sql`
    SELECT ${columnsOf('j', FIELDS)}, COALESCE(j.warnings, '{}') AS warnings, split_part(a.name, '~',
      1) AS "adapterName", (
      SELECT v.id FROM adapter_versions v WHERE v.job_id = j.id AND NOT v.provisional ORDER BY v.number DESC LIMIT 1
    ) AS "publishedId", (
      SELECT w.waits_for_job_id FROM job_waits w WHERE w.job_id = j.id AND j.finished_at IS NULL
    ) AS "waitsForId", ${exactTime('j.finished_at')} AS "finishedExactly"
    FROM (${jobs}) AS j JOIN adapters a ON a.id = j.adapter_id ORDER BY ${sortingOf(query, JOB_SORTS).orderBy('j.')}`;
  return readRows(db, statement);
}

import type { Database } from '../../platform/database/database.ts';
import { AppError, notFound } from '../../platform/contract/errors.ts';
import { toPage } from '../../platform/contract/pagination.ts';
import { sortingOf } from '../../platform/contract/sorting.ts';
import { formatPosition, nextTransaction, parsePosition, requireReached } from '../../delivery/events/index.ts';
import { toJob, toMetricPoint } from './job.mapper.ts';
import { createJobRepository, JOB_SORTS } from './job.repository.ts';
import type { Job, JobPage, JobQuery, MetricPointResource, MetricQuery } from './job.schemas.ts';

/**
 * Service that reads jobs. In all methods `scope` is the tenant to which the caller is confined, or null for the
 * operator.
 */
export interface JobService {
  /** @throws AppError 404 if the caller can see no such job */
  get(id: string, scope: string | null): Promise<Job>;
  /**
   * Reads a text that changes whenever the answer of {@link JobService.get} changes, and that is cheaper to compute
   * than this answer. Null if the job does not exist.
   */
  version(id: string, scope: string | null): Promise<string | null>;
  /**
   * Reads a text that changes whenever the answer of {@link JobService.list} changes. Null if the query has
   * `changed_after`, because there is no such text for a list of changes.
   */
  pageVersion(query: JobQuery, scope: string | null): Promise<string | null>;
  /**
   * Returns a page of the jobs that match the query. If the query has `changed_after`, only jobs whose latest change
   * came after this position are listed, in the order of these changes.
   * @throws AppError 400 `invalid_cursor`, or 400 `invalid_request` if `sort` is combined with `changed_after`
   */
  list(query: JobQuery, scope: string | null): Promise<JobPage>;
  /** Reads measured values of a job over its steps. @throws AppError 404 if the caller can see no such job */
  metrics(
    id: string,
    query: MetricQuery,
    scope: string | null,
  ): Promise<{ data: MetricPointResource[]; next_since_id: string | null }>;
}

export function createJobService({ db }: { db: Database }): JobService {
  const jobs = createJobRepository(db);
  const get = async (id: string, scope: string | null): Promise<Job> => {
    const row = await jobs.find(id, scope);
    if (row === null) throw notFound('job', id);
    return toJob(row, scope);
  };
  const changes = async (query: JobQuery, after: string, scope: string | null): Promise<JobPage> => {
    if (query.cursor !== undefined) {
      const message = 'cursor and changed_after cannot be combined: pass next_changed_after as changed_after';
      throw new AppError({ code: 'invalid_cursor', status: 400, message });
    }
    const position = parsePosition(after);
    const { rows, last } = await jobs.changedAfter(position, query, scope);
    if (last === null) requireReached(after, position, await nextTransaction(db));
    return {
      data: rows.map((row) => toJob(row, scope)),
      next_cursor: null,
      next_changed_after: last === null ? after : formatPosition(last),
    };
  };
  return {
    get,

    version: (id: string, scope: string | null): Promise<string | null> => jobs.version(id, scope),

    async pageVersion(query: JobQuery, scope: string | null): Promise<string | null> {
      requireSortable(query);
      return query.changed_after === undefined ? jobs.pageVersion(query, scope) : null;
    },

    async list(query: JobQuery, scope: string | null): Promise<JobPage> {
      requireSortable(query);
      if (query.changed_after !== undefined) return changes(query, query.changed_after, scope);
      const { cursorOf } = sortingOf(query, JOB_SORTS);
      const page = toPage(await jobs.page(query, scope), query, (row) => toJob(row, scope), cursorOf);
      return { ...page, next_changed_after: null };
    },

    async metrics(
      id: string,
      query: MetricQuery,
      scope: string | null,
    ): Promise<{ data: MetricPointResource[]; next_since_id: string | null }> {
      await get(id, scope);
      const data = (await jobs.metricPoints(id, query)).map(toMetricPoint);
      return { data, next_since_id: data.at(-1)?.id ?? query.since_id ?? null };
    },
  };
}

/** Refuses a query with both `sort` and `changed_after`: a list of changes is always in the order of the changes. */
function requireSortable(query: JobQuery): void {
  if (query.sort === undefined || query.changed_after === undefined) return;
  const message = 'cannot be combined with changed_after';
  const details = { errors: [{ in: 'query', field: 'sort', message }] };
  throw new AppError({ code: 'invalid_request', status: 400, message: `query: sort ${message}`, details });
}

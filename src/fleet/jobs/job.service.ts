import { NO_QUOTAS, type QuotaLimits } from '../../platform/config/quotas.ts';
import type { JobProducer } from '../../platform/queue/producer.ts';
import type { RecoverySource } from '../../platform/queue/sweeper.ts';
import { withTransaction, type Database } from '../../platform/database/database.ts';
import { AppError, conflict, notFound } from '../../platform/contract/errors.ts';
import { toPage } from '../../platform/contract/pagination.ts';
import { sortingOf } from '../../platform/contract/sorting.ts';
import { unrecorded } from '../../platform/contract/record-answer.ts';
import type { RecordChange } from '../../platform/contract/record-change.ts';
import { unconfined } from '../../platform/database/row-security/confined-database.repository.ts';
import { createEventRepository, formatPosition, parsePosition, requireReached } from '../../delivery/events/index.ts';
import { createJobControl } from './control/job-control.ts';
import type { OwnOptions } from './control/retry/retry.schemas.ts';
import { jobLifecycleRepository } from './job-lifecycle.repository.ts';
import { toBaselinesEntry, toEntry } from './job-entries.ts';
import { cancelJobs, settleRollout } from './job-lifecycle.ts';
import { toJob, toMetricPoint } from './job.mapper.ts';
import { createJobRepository, JOB_SORTS } from './job.repository.ts';
import type { Job, JobPage, JobQuery, MetricPoint, MetricQuery } from './job.schemas.ts';

export type JobService = ReturnType<typeof createJobService>;

interface JobServiceDependencies {
  db: Database;
  producer: JobProducer;
  /** What each tenant may have by default. Default: no limits. */
  quotas?: QuotaLimits;
}

/** In all methods `scope` is the tenant to which the caller is confined, or null for the operator. */
export function createJobService({ db, producer, quotas = NO_QUOTAS }: JobServiceDependencies) {
  const control = createJobControl({ db, producer, quotas });
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
    if (last === null) requireReached(after, position, await createEventRepository(db).nextTransaction());
    return {
      data: rows.map((row) => toJob(row, scope)),
      next_cursor: null,
      next_changed_after: last === null ? after : formatPosition(last),
    };
  };
  return {
    get,

    /** What the answer of {@link get} depends on, without what it costs; null if the job does not exist. */
    version: (id: string, scope: string | null): Promise<string | null> => jobs.version(id, scope),

    /** The same for {@link list}; null if the list is one of changes that has none. */
    async pageVersion(query: JobQuery, scope: string | null): Promise<string | null> {
      requireSortable(query);
      return query.changed_after === undefined ? jobs.pageVersion(query, scope) : null;
    },

    /** @throws AppError 400 `invalid_cursor`, or `invalid_request` for an order that the list does not have */
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
    ): Promise<{ data: MetricPoint[]; next_since_id: string | null }> {
      await get(id, scope);
      const data = (await jobs.metricPoints(id, query)).map(toMetricPoint);
      return { data, next_since_id: data.at(-1)?.id ?? query.since_id ?? null };
    },

    /** Stops a job until it is resumed. @throws AppError 404, 409 `job_ended` or `job_ready` */
    async pause(id: string, scope: string | null, recordChange: RecordChange = unrecorded): Promise<Job> {
      await control.pause(await get(id, scope), recordChange);
      return get(id, scope);
    },

    /** Lets a paused job go on from its checkpoint. @throws AppError 404, 409 `job_ended` or `rollout_paused` */
    async resume(id: string, scope: string | null, recordChange: RecordChange = unrecorded): Promise<Job> {
      await control.resume(await get(id, scope), recordChange);
      return get(id, scope);
    },

    /** Lets a job begin that waits for its tenant's approval. @throws AppError 404, 409 `job_ended` or `rollout_ended` */
    async approve(id: string, scope: string | null, recordChange: RecordChange = unrecorded): Promise<Job> {
      await control.approve(await get(id, scope), recordChange);
      return get(id, scope);
    },

    /**
     * Begins a job anew that has ended without a publication, with options of its own if some are given.
     * @throws AppError 403, 404, 409, 422 `invalid_options`
     */
    async retry(
      id: string,
      scope: string | null,
      { options, recordChange = unrecorded }: { options?: OwnOptions; recordChange?: RecordChange } = {},
    ): Promise<Job> {
      await control.retry(await get(id, scope), { options, isOperator: scope === null }, recordChange);
      return get(id, scope);
    },

    /** Cancels a job. Cancelling it again changes nothing. @throws AppError 404, 409 `job_ended` */
    async cancel(id: string, scope: string | null, recordChange: RecordChange = unrecorded): Promise<Job> {
      const job = await get(id, scope);
      await withTransaction(db, async (tx) => {
        const { jobs: cancelled } = await cancelJobs(tx, { jobId: id });
        for (const { tenant_id: tenantId, old_state: old, state } of cancelled) {
          // A ready job keeps its state: only its refinement ends.
          const [before, after] = [
            { state: old, ended: false },
            { state, ended: true },
          ];
          await recordChange(tx, { tenantId, subjectId: id, before, after });
        }
      });
      // Whether this was the rollout's last job depends on those of all tenants. The sweeper completes it if this does not.
      const entries = await withTransaction(unconfined(db), async (tx) => {
        await jobLifecycleRepository.lockRollout(tx, job.rollout_id);
        return settleRollout(tx, job.rollout_id);
      });
      await producer.enqueueAfterCommit(entries);
      const after = await get(id, scope);
      if (job.finished_at !== null && after.state !== 'cancelled') {
        throw conflict('job_ended', `job ${id} cannot be cancelled: it has ended and is ${after.state}`);
      }
      await producer.remove('adaptations', [id]);
      return after;
    },
  };
}

/** Changes have an order of their own. */
function requireSortable(query: JobQuery): void {
  if (query.sort === undefined || query.changed_after === undefined) return;
  const message = 'cannot be combined with changed_after';
  const details = { errors: [{ in: 'query', field: 'sort', message }] };
  throw new AppError({ code: 'invalid_request', status: 400, message: `query: sort ${message}`, details });
}

/** What the sweeper needs to know about jobs. */
export function jobRecoverySource(db: Database): RecoverySource {
  const jobs = createJobRepository(db);
  return {
    queue: 'adaptations',
    expired: async (limit) => (await jobs.expired(limit)).map(toEntry),
    countLive: () => jobs.countLive(),
    live: async (after, limit) =>
      (await jobs.live(after, limit)).map((job) => ({
        rowId: job.id,
        entry: job.ended ? toBaselinesEntry(job.id) : toEntry(job),
      })),
  };
}

import { withTransaction, type Database } from '../../platform/database/database.ts';
import { conflict, notFound } from '../../platform/contract/errors.ts';
import { toPage, type Page, type PageQuery } from '../../platform/contract/pagination.ts';
import type { RecordChange } from '../../platform/contract/record-change.ts';
import { toTimestamp } from '../../platform/contract/schemas.ts';
import { recordEvent } from '../../delivery/events/index.ts';
import { findWorker, pageOfWorkers, requestOfWorker, type WorkerRequest, type WorkerRow } from './worker.repository.ts';
import type { Worker } from './worker.schemas.ts';

/** Types of the events that record the operator's requests to workers. */
const EVENTS = {
  drain: 'worker.drain_requested',
  idle: 'worker.idle_requested',
  release: 'worker.released',
  lift: 'worker.quarantine_lifted',
} as const satisfies Record<WorkerRequest, string>;

export function createWorkerService({ db }: { db: Database }) {
  const find = async (id: string): Promise<WorkerRow> => {
    const row = await findWorker(db, id);
    if (row === null) throw notFound('worker', id);
    return row;
  };
  const request = async (id: string, what: WorkerRequest, recordChange: RecordChange): Promise<Worker> => {
    const { gone, state } = await find(id);
    if (gone) throw conflict('worker_gone', `worker ${id} is gone: it cannot be asked for anything`);
    await withTransaction(db, async (tx) => {
      await requestOfWorker(tx, id, what);
      await recordEvent(tx, { tenantId: null, type: EVENTS[what], subjectId: id, data: {} });
      await recordChange(tx, { tenantId: null, subjectId: id, before: { state }, after: { requested: what } });
    });
    return toWorker(await find(id));
  };
  return {
    async list(query: PageQuery): Promise<Page<Worker>> {
      return toPage(await pageOfWorkers(db, query), query, toWorker);
    },

    /**
     * Reads a worker.
     * @throws AppError 404
     */
    get: async (id: string): Promise<Worker> => toWorker(await find(id)),

    /**
     * Asks a worker to end its present job at its next heartbeat, and then either to stop, or to take no job until it
     * is released.
     * @throws AppError 404, 409 `worker_gone`
     */
    drain: (id: string, { stop }: { stop: boolean }, recordChange: RecordChange): Promise<Worker> =>
      request(id, stop ? 'drain' : 'idle', recordChange),

    /**
     * Lets a worker take jobs again that was asked to take none and has not stopped.
     * @throws AppError 404, 409 `worker_gone`
     */
    release: (id: string, recordChange: RecordChange): Promise<Worker> => request(id, 'release', recordChange),

    /** Asks a worker to end its quarantine at its next heartbeat. @throws AppError 404, 409 `worker_gone` */
    lift: (id: string, recordChange: RecordChange): Promise<Worker> => request(id, 'lift', recordChange),
  };
}

function toWorker(row: WorkerRow): Worker {
  return {
    id: row.id,
    host: row.host,
    pid: row.pid,
    version: row.version,
    device: row.device,
    memory_bytes: row.memoryBytes === null ? null : Number(row.memoryBytes),
    state: row.gone ? 'gone' : row.state,
    reason: row.reason,
    quarantined_until: toTimestamp(row.quarantinedUntil),
    current_job: row.currentJob,
    jobs_done: row.jobsDone,
    jobs_failed: row.jobsFailed,
    faults: row.faults,
    busy_ms: row.busyMs,
    tokens_per_second: row.tokensPerSecond,
    load: row.gone ? null : row.load,
    loaded_base_model_version_ids: row.gone ? [] : row.loadedBases,
    unreadable_base_model_version_ids: row.unreadableBases,
    drain_requested_at: toTimestamp(row.drainRequestedAt),
    idle_requested_at: toTimestamp(row.idleRequestedAt),
    started_at: toTimestamp(row.startedAt),
    seen_at: toTimestamp(row.seenAt),
  };
}

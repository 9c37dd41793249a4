import { Prisma, type Queryable } from '../../platform/database/database.ts';
import { pageArguments, type PageQuery } from '../../platform/contract/pagination.ts';

/** Time without a heartbeat after which a worker counts as gone, in milliseconds. */
const GONE_AFTER_MS = 30_000;

/** Time for which the row of a worker is kept after the last heartbeat, in milliseconds. */
const KEPT_MS = 86_400_000;

/** Facts about a worker that are known when it starts. */
export interface NewWorker {
  id: string;
  host: string;
  pid: number;
  version: string;
  device: string;
  /** Memory limit of the worker in bytes; null if it has none. */
  memoryBytes: bigint | null;
}

/** State of a worker, which it sends with each heartbeat. */
export interface WorkerReport {
  state: 'ready' | 'draining' | 'quarantined';
  reason: string | null;
  quarantinedUntil: Date | null;
  currentJob: string | null;
  jobsDone: number;
  jobsFailed: number;
  faults: number;
  busyMs: number;
  tokensPerSecond: number | null;
  /** Share of the last minutes in which the worker was busy, from 0 to 1. */
  load: number | null;
  /** Folders of the base models that the worker holds in memory. */
  loadedFolders: readonly string[];
  unreadableBases: string[];
}

/**
 * Requests of the operator to a worker. `drain`: end the present job and stop. `idle`: end the present job and take no
 * other. `release`: take jobs again. `lift`: end the quarantine.
 */
export type WorkerRequest = 'drain' | 'idle' | 'release' | 'lift';

/**
 * Answer to a worker's heartbeat: the times at which the operator made the requests to the worker that are still
 * pending, and the present time by the database's clock.
 */
interface WorkerAnswer {
  drain_requested_at: Date | null;
  idle_requested_at: Date | null;
  lift_requested_at: Date | null;
  now: Date;
}

export interface WorkerRow extends NewWorker, Omit<WorkerReport, 'loadedFolders'> {
  gone: boolean;
  /** Identifiers of the base model versions that the worker holds in memory. */
  loadedBases: string[];
  drainRequestedAt: Date | null;
  idleRequestedAt: Date | null;
  startedAt: Date;
  seenAt: Date;
}

function before(ms: number): Prisma.Sql {
  return Prisma.sql`seen_at < clock_timestamp() - make_interval(secs => ${ms / 1000}::float8)`;
}

const IS_GONE = Prisma.sql`(stopped_at IS NOT NULL OR ${before(GONE_AFTER_MS)})`;

/**
 * Adds to each worker whether it is gone. A worker is gone if it has stopped by itself, or if it has sent no heartbeat
 * lately by the database's clock.
 */
async function withGone<T extends { id: string }>(
  db: Queryable,
  rows: readonly T[],
): Promise<(T & { gone: boolean })[]> {
  const ids = rows.map(({ id }) => id);
  const found = await db.$queryRaw<{ id: string }[]>`SELECT id FROM workers WHERE id = ANY(${ids}) AND ${IS_GONE}`;
  const gone = new Set(found.map(({ id }) => id));
  return rows.map((row) => ({ ...row, gone: gone.has(row.id) }));
}

/** Stores the heartbeat of a worker. If the row of the worker was removed or lost, writes it again. */
export async function writeHeartbeat(db: Queryable, worker: NewWorker, report: WorkerReport): Promise<WorkerAnswer> {
  const [row] = await db.$queryRaw<[WorkerAnswer]>`
    INSERT INTO workers (
      id, host, pid, version, device, memory_bytes, state, reason, quarantined_until, current_job,
      jobs_done, jobs_failed,
      faults, busy_ms, tokens_per_second, load, loaded_bases, unreadable_bases, seen_at
    ) VALUES (
      ${worker.id}, ${worker.host}, ${worker.pid}, ${worker.version}, ${worker.device}, ${worker.memoryBytes},
      ${report.state}, ${report.reason}, ${report.quarantinedUntil}, ${report.currentJob}, ${report.jobsDone},
      ${report.jobsFailed}, ${report.faults}, ${report.busyMs}, ${report.tokensPerSecond},
      ${report.load}, ARRAY(
        SELECT v.id FROM base_model_versions v
        WHERE v.path = ANY(${[...report.loadedFolders]}::text[])
          OR v.source_key = ANY(${[...report.loadedFolders]}::text[])
        ORDER BY v.id
      ), ${report.unreadableBases}, clock_timestamp()
    )
    ON CONFLICT (id) DO UPDATE SET state = EXCLUDED.state, reason = EXCLUDED.reason,
      quarantined_until = EXCLUDED.quarantined_until, current_job = EXCLUDED.current_job,
      jobs_done = EXCLUDED.jobs_done, jobs_failed = EXCLUDED.jobs_failed, faults = EXCLUDED.faults,
      busy_ms = EXCLUDED.busy_ms, tokens_per_second = EXCLUDED.tokens_per_second,
      load = EXCLUDED.load, loaded_bases = EXCLUDED.loaded_bases, unreadable_bases = EXCLUDED.unreadable_bases,
        seen_at = EXCLUDED.seen_at, stopped_at = NULL
    RETURNING drain_requested_at, idle_requested_at, lift_requested_at, clock_timestamp() AS now`;
  return row;
}

/** Stores that a worker has stopped by itself. */
export async function recordWorkerStop(db: Queryable, id: string): Promise<void> {
  await db.$executeRaw`
    UPDATE workers SET stopped_at = clock_timestamp(), current_job = NULL, load = NULL, loaded_bases = '{}',
      unreadable_bases = '{}'
    WHERE id = ${id}`;
}

/** Removes the rows of workers whose last heartbeat is more than a day old. */
export async function removeOldWorkers(db: Queryable): Promise<void> {
  await db.$executeRaw`DELETE FROM workers WHERE ${before(KEPT_MS)}`;
}

export async function findWorker(db: Queryable, id: string): Promise<WorkerRow | null> {
  const row = await db.workerProcess.findUnique({ where: { id } });
  return row === null ? null : ((await withGone(db, [row]))[0] as WorkerRow);
}

export async function pageOfWorkers(db: Queryable, query: PageQuery): Promise<WorkerRow[]> {
  return (await withGone(db, await db.workerProcess.findMany(pageArguments(query)))) as WorkerRow[];
}

/** Lists workers that are running, that is, have not stopped and have sent a heartbeat lately. */
export async function presentWorkers(db: Queryable): Promise<WorkerRow[]> {
  return (await unstoppedWorkers(db)).filter(({ gone }) => !gone);
}

/**
 * Lists workers that have not stopped by themselves. Some of them may be gone all the same, because they no longer send
 * heartbeats.
 */
export async function unstoppedWorkers(db: Queryable): Promise<WorkerRow[]> {
  const rows = await db.workerProcess.findMany({ where: { stoppedAt: null }, orderBy: { id: 'asc' } });
  return (await withGone(db, rows)) as WorkerRow[];
}

/**
 * Stores a request of the operator to a worker, which the worker follows at its next heartbeat. Of the requests `drain`
 * and `idle`, the later one replaces the earlier.
 */
export async function requestOfWorker(db: Queryable, id: string, what: WorkerRequest): Promise<void> {
  const now = new Date();
  const data = {
    drain: { drainRequestedAt: now, idleRequestedAt: null },
    idle: { drainRequestedAt: null, idleRequestedAt: now },
    release: { drainRequestedAt: null, idleRequestedAt: null },
    lift: { liftRequestedAt: now },
  }[what];
  await db.workerProcess.updateMany({ where: { id }, data });
}

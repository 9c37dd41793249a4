import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Queue } from 'bullmq';
import { applyMigrations } from '../../../src/platform/database/migrations.ts';
import { startEmbeddedPostgres } from '../../../src/platform/embedded/index.ts';
import { createQueueBackend, QUEUES } from '../../../src/platform/queue/index.ts';
import { createDatabase, type Database } from '../../../src/platform/database/database.ts';
import { cpuMs, familyCpuMs } from '../../../test/processor-time.ts';

/** PostgreSQL in a temporary folder, with Readapt's tables. */
export interface BenchStack {
  folder: string;
  databaseUrl: string;
  db: Database;
  /** Processor time of the server and its processes, in milliseconds. */
  databaseCpuMs(): Promise<number>;
  close(): Promise<void>;
}

export async function startStack(): Promise<BenchStack> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-bench-'));
  const postgres = await startEmbeddedPostgres(folder);
  await applyMigrations(postgres.url);
  const db = createDatabase(postgres.url, { poolSize: 4 });
  const postmaster = Number((await readFile(path.join(folder, 'postgres/data/postmaster.pid'), 'utf8')).split('\n')[0]);
  return {
    folder,
    databaseUrl: postgres.url,
    db,
    databaseCpuMs: () => familyCpuMs(postmaster),
    close: async () => {
      await db.$disconnect();
      await postgres.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Child process of the benchmark, which answers messages. */
export interface BenchProcess {
  readonly pid: number;
  /** Waits for the next message. */
  next<T>(): Promise<T>;
  send(message: object): void;
  cpuMs(): Promise<number>;
  stop(): Promise<void>;
}

/** Starts a module as a process. @param file path relative to this folder @param log file descriptor for its stderr */
export function startProcess(
  file: string,
  env: Record<string, string>,
  args: readonly string[] = [],
  log: number | 'inherit' = 'inherit',
): BenchProcess {
  const child: ChildProcess = fork(path.join(import.meta.dirname, file), args, {
    env: { ...process.env, ...env },
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'inherit', log, 'ipc'],
  });
  const pid = child.pid ?? 0;
  return {
    pid,
    next: async <T>() => {
      const answered = new AbortController();
      const ended = once(child, 'exit', { signal: answered.signal }).then(([code]) => {
        throw new Error(`${file} ended with ${String(code)}`);
      });
      try {
        const [message] = (await Promise.race([once(child, 'message'), ended])) as [T];
        return message;
      } finally {
        ended.catch(() => undefined);
        answered.abort();
      }
    },
    send: (message) => child.send(message),
    cpuMs: () => cpuMs(pid).then(({ own }) => own),
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** Number of transactions of the database so far. Each query of the API is one. */
export async function transactions({ db }: BenchStack): Promise<number> {
  const [row] = await db.$queryRaw<{ count: number }[]>`
    SELECT (xact_commit + xact_rollback)::float8 AS count FROM pg_stat_database WHERE datname = current_database()`;
  return row!.count;
}

/** Resident memory of a process, in bytes. */
export async function residentBytes(pid: number): Promise<number> {
  const [, kib] = /^VmRSS:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib) * 1024;
}

/** @throws Error if a queue in the Redis holds jobs: they would run among those of the benchmark */
export async function requireEmptyQueues(redisUrl: string): Promise<void> {
  await withQueues(redisUrl, async (queue) => {
    const count = Object.values(await queue.getJobCounts()).reduce((sum, one) => sum + one, 0);
    if (count === 0) return;
    throw new Error(
      `queue ${queue.name} in the Redis of --redis holds ${count} jobs, expected none: give another Redis`,
    );
  });
}

/** Deletes all jobs, so that the next part of the benchmark does not run them. */
export function emptyQueues(redisUrl: string): Promise<void> {
  return withQueues(redisUrl, (queue) => queue.obliterate({ force: true }));
}

async function withQueues(redisUrl: string, work: (queue: Queue) => Promise<void>): Promise<void> {
  const backend = createQueueBackend({ databaseUrl: '', redisUrl });
  for (const name of QUEUES) {
    const queue = backend.createQueue(name) as unknown as Queue;
    try {
      await work(queue);
    } finally {
      await queue.close();
    }
  }
}

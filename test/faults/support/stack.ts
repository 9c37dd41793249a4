import { randomBytes } from 'node:crypto';
import { execFileSync, spawnSync } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../../src/platform/embedded/index.ts';
import { createDatabase, type Database } from '../../../src/platform/database/database.ts';
import { compileCheckout } from '../../compiled/compile.ts';
import { createTinyFamily, BASE, removeTinyFamily, type TinyFamily } from '../../unit/training/support/tiny-task.ts';
import { childrenOf, SupervisedProcess } from './processes.ts';

const DISK = '96m';

export interface StackOptions {
  /** Backend of the queue. */
  queue: 'postgres' | 'redis';
}

/** PostgreSQL, the API, two workers and optionally Redis, all as processes that faults can hit. */
export interface FaultStack {
  readonly origin: string;
  readonly operatorKey: string;
  readonly db: Database;
  readonly family: TinyFamily;
  /** Folder of artifacts and checkpoints; a small file system of its own if `disk` is set. */
  readonly dataDir: string;
  readonly cacheDir: string;
  readonly disk: boolean;
  readonly api: SupervisedProcess;
  readonly workers: readonly SupervisedProcess[];
  readonly redis: SupervisedProcess | null;
  /** Process ids of the PostgreSQL server; the first is the parent of the others. */
  postgres(): Promise<number[]>;
  /** Output of all processes, for a failure message. */
  logs(): Promise<string>;
  close(): Promise<void>;
}

/** Starts all processes. The data folder is a tmpfs of its own if this process may mount one. */
export async function startStack({ queue }: StackOptions): Promise<FaultStack> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-faults-'));
  // PostgreSQL's user needs access to the folder.
  await chmod(folder, 0o755);
  const compiled = await compileCheckout();
  const inFolder = (name: string) => path.join(folder, name);
  const dataDir = inFolder('data');
  await mkdir(dataDir);
  const disk = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK},mode=755`, 'tmpfs', dataDir]).status === 0;
  const family = await createTinyFamily();
  const postgres: EmbeddedPostgres = await startEmbeddedPostgres(inFolder('database'));
  const redis = queue === 'redis' ? await startRedis(inFolder('redis')) : null;
  const cacheDir = inFolder('cache');
  const port = await freePort();
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    DATABASE_URL: postgres.url,
    REDIS_URL: redis?.url ?? '',
    READAPT_DATA_DIR: dataDir,
    READAPT_ALLOWED_ROOTS: [family.folder, BASE].join(path.delimiter),
    READAPT_GRAPH_CACHE: cacheDir,
    READAPT_PORT: String(port),
    READAPT_THREADS: '1',
    READAPT_LOG_LEVEL: 'info',
    READAPT_SECRET_KEY: randomBytes(32).toString('base64'),
    READAPT_WEBHOOK_ALLOWED_RANGES: '127.0.0.1/32',
  };
  const run = (name: string, args: readonly string[]) =>
    new SupervisedProcess({ command: process.execPath, args, env, log: inFolder(`${name}.log`) });
  const api = run('api', [path.join(compiled, 'bin/readapt.js'), 'serve']);
  const origin = `http://127.0.0.1:${port}`;
  const keyFile = path.join(dataDir, 'operator-key');
  await until('the API is ready', async () => (await fetch(`${origin}/readyz`)).ok && (await exists(keyFile)));
  const operatorKey = (await readFile(keyFile, 'utf8')).trim();
  const worker = path.join(compiled, 'dist/test/faults/support/worker-process.js');
  const workers = [1, 2].map((number) => run(`worker-${number}`, [worker]));
  const db = createDatabase(postgres.url, { poolSize: 4 });
  return {
    origin,
    operatorKey,
    db,
    family,
    dataDir,
    cacheDir,
    disk,
    api,
    workers,
    redis: redis?.process ?? null,
    async postgres() {
      const text = await readFile(inFolder('database/postgres/data/postmaster.pid'), 'utf8').catch(() => '');
      const pid = Number(text.split('\n')[0]);
      return pid > 0 ? [pid, ...(await childrenOf(pid))] : [];
    },
    async logs() {
      const names = ['api', 'worker-1', 'worker-2'];
      const texts = await Promise.all(names.map((name) => readFile(inFolder(`${name}.log`), 'utf8').catch(() => '')));
      return texts.map((text, index) => `--- ${names[index]}\n${text.split('\n').slice(-60).join('\n')}`).join('\n');
    },
    async close() {
      await Promise.all([...workers, api].map((each) => each.stop()));
      await redis?.process.stop();
      await db.$disconnect();
      await postgres.stop();
      if (disk) execFileSync('umount', ['--lazy', dataDir]);
      await removeTinyFamily(family);
      for (const each of [folder, compiled]) await rm(each, { recursive: true, force: true });
    },
  };
}

/** Starts a Redis without persistence, the worst case when it is killed. */
async function startRedis(folder: string): Promise<{ url: string; process: SupervisedProcess }> {
  await mkdir(folder);
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder];
  const log = path.join(folder, 'redis.log');
  const supervised = new SupervisedProcess({ command: 'redis-server', args, env: process.env, log });
  await until('Redis is ready', async () => (await readFile(log, 'utf8')).includes('Ready to accept connections'));
  return { url: `redis://127.0.0.1:${port}`, process: supervised };
}

/**
 * Polls until a condition holds; an exception counts as false.
 * @throws Error with the condition's name after the timeout
 */
export async function until(what: string, condition: () => Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition().catch(() => false))) {
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs / 1000} s in vain: ${what}`);
    await sleep(50);
  }
}

async function exists(file: string): Promise<boolean> {
  return (await readFile(file, 'utf8').catch(() => '')) !== '';
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

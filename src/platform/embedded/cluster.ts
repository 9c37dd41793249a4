import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, appendFile, chown, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import type { Account } from './account.ts';
import { findBinaries, type Binaries } from './binaries.ts';

const run = promisify(execFile);

const USER = 'readapt';
/** Name of the file that marks a completely created cluster. */
const INITIALIZED = 'readapt-initialized';

/**
 * Longest time to wait for the sessions of a killed server to end, in milliseconds. The sessions hold the server's
 * shared memory until they notice its death, which takes seconds on a busy machine.
 */
const SESSIONS_END_MS = 60_000;
/** Pattern of the line in PostgreSQL's log about shared memory that an earlier server still holds. */
const SHARED_MEMORY_IS_HELD = /pre-existing shared memory block/;

/**
 * Programs, account and folders with which a PostgreSQL cluster is created, started and stopped. (A cluster is what one
 * server keeps in one data folder.)
 */
export interface Cluster {
  binaries: Binaries;
  account: Account;
  /** Path of PostgreSQL's data folder. */
  data: string;
  log: string;
  password: string;
}

export interface PostgresOptions {
  /**
   * Whether PostgreSQL makes changes durable before it confirms them (default true). False is faster, for tests only.
   */
  durable?: boolean;
  maxConnections?: number;
}

export interface StartOptions {
  /**
   * Port on which the server has to listen. If undefined, the server takes a free port, and another one if a different
   * process takes that port first.
   */
  fixedPort?: number | undefined;
  /** Time that the sessions of a killed server may take to end, in milliseconds (default 60,000). */
  sessionsEndMs?: number;
}

/** Path of PostgreSQL's data folder within the folder of the embedded PostgreSQL. */
export function clusterData(folder: string): string {
  return path.join(folder, 'data');
}

/** Whether a folder of the embedded PostgreSQL has a completely created cluster. */
export function hasCluster(folder: string): Promise<boolean> {
  return exists(path.join(clusterData(folder), INITIALIZED));
}

/** Opens the cluster in a folder, and creates it if necessary. */
export async function openCluster(folder: string, account: Account, options: PostgresOptions): Promise<Cluster> {
  const cluster: Cluster = {
    binaries: await findBinaries(account),
    account,
    data: clusterData(folder),
    log: path.join(folder, 'postgres.log'),
    password: await readPassword(path.join(folder, 'password')),
  };
  if (!(await hasCluster(folder))) await initialize(cluster, folder, options);
  return cluster;
}

async function readPassword(file: string): Promise<string> {
  const created = randomBytes(24).toString('base64url');
  await writeFile(file, created, { flag: 'wx', mode: 0o600 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  return (await readFile(file, 'utf8')).trim();
}

/**
 * Creates the cluster and finally marks it as complete. If the creation is interrupted, the mark is missing, and the
 * next start creates the cluster again.
 */
async function initialize(cluster: Cluster, folder: string, options: PostgresOptions): Promise<void> {
  await rm(cluster.data, { recursive: true, force: true });
  const passwordFile = path.join(folder, 'password');
  // initdb runs as the server's account, which must be able to read the password.
  await giveToAccount(passwordFile, cluster.account);
  await runAs(cluster, cluster.binaries.initdb, [
    `--pgdata=${cluster.data}`,
    `--username=${USER}`,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    ...(options.durable === false ? ['--no-sync'] : []),
  ]).catch((cause: Error & { stderr?: string }) => {
    const reason = cause.stderr?.trim() || cause.message;
    throw new Error(`the embedded PostgreSQL could not be created in ${cluster.data} (READAPT_DATA_DIR): ${reason}`, {
      cause,
    });
  });
  await writeFile(path.join(cluster.data, INITIALIZED), `${cluster.binaries.version}\n`);
}

/**
 * Starts the server and returns its port.
 *
 * @throws Error with the end of the server's log if it does not start
 */
export async function startPostgres(
  cluster: Cluster,
  options: PostgresOptions,
  { fixedPort, sessionsEndMs = SESSIONS_END_MS }: StartOptions = {},
): Promise<number> {
  const attempts = 3;
  const began = performance.now();
  for (let failures = 0; ;) {
    await appendFile(cluster.log, '');
    await giveToAccount(cluster.log, cluster.account);
    const { size } = await stat(cluster.log);
    const port = fixedPort ?? (await freePort());
    try {
      await runAs(cluster, cluster.binaries.pgCtl, [
        'start',
        '--wait',
        '--timeout=120',
        `--pgdata=${cluster.data}`,
        `--log=${cluster.log}`,
        `--options=${serverFlags(port, options).join(' ')}`,
      ]);
      return port;
    } catch (cause) {
      const log = await text(createReadStream(cluster.log, { start: size })).catch(() => '');
      const waitsForSessions = SHARED_MEMORY_IS_HELD.test(log) && performance.now() - began < sessionsEndMs;
      if (!waitsForSessions) failures += 1;
      if (failures === attempts) {
        const end = log.split('\n').slice(-12).join('\n');
        throw new Error(`the embedded PostgreSQL in ${cluster.data} does not start; its log ends with:\n${end}`, {
          cause,
        });
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

function serverFlags(port: number, options: PostgresOptions): string[] {
  const settings: Record<string, string> = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    max_connections: String(options.maxConnections ?? 200),
    // In containers /dev/shm is often small.
    dynamic_shared_memory_type: process.platform === 'win32' ? 'windows' : 'mmap',
    // Disks without moving parts read any page almost as fast as the next one. With the default of 4, PostgreSQL would
    // search for a page of a tenant's list among the newer rows of all other tenants.
    random_page_cost: '1.1',
    log_timezone: 'UTC',
    timezone: 'UTC',
  };
  if (options.durable === false) {
    Object.assign(settings, { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' });
  }
  return Object.entries(settings).map(([name, value]) => `-c ${name}=${value === '' ? "''" : value}`);
}

export function urlOf(cluster: Cluster, port: number, database: string): string {
  return `postgresql://${USER}:${cluster.password}@127.0.0.1:${port}/${database}`;
}

async function runAs(cluster: Cluster, command: string, args: string[]): Promise<void> {
  await run(command, args, {
    ...cluster.account.ids,
    cwd: path.dirname(cluster.data),
    env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' },
  });
}

async function giveToAccount(file: string, account: Account): Promise<void> {
  if (account.ids.uid !== undefined && account.ids.gid !== undefined) {
    await chown(file, account.ids.uid, account.ids.gid);
  }
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

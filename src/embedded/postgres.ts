import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, appendFile, chown, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { prepareFolder, serverAccount, type Account } from './account.ts';
import { findBinaries, type Binaries } from './binaries.ts';
import { commandLine } from './processes.ts';
import { withStartLock } from './start-lock.ts';

const run = promisify(execFile);

const DATABASE = 'readapt';
const USER = 'readapt';
/** Name of the file that marks a complete cluster. */
const INITIALIZED = 'readapt-initialized';
/** A process id that no system assigns. */
const NO_PID = 999_999_999;

/** Advisory lock of the process that will stop the server. It is released when that process ends, however it ends. */
const OWNER_LOCK = 7_236_834;

export interface EmbeddedPostgres {
  /** Connection string of the database `readapt`. */
  url: string;
  port: number;
  /** True if the server was running already. */
  reused: boolean;
  /** Stops the server if this process owns it. */
  stop(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /** False trades durability for speed, for tests only (default true). */
  durable?: boolean;
  maxConnections?: number;
}

/** What commands on a cluster need. */
interface Cluster {
  binaries: Binaries;
  account: Account;
  /** PostgreSQL's data folder. */
  data: string;
  log: string;
  password: string;
}

/**
 * Starts PostgreSQL in `<dataDir>/postgres` and creates the cluster at the first start. A server that a killed process
 * left behind is taken over. A server that another living process owns is used as well, and `stop()` leaves it running.
 *
 * @throws Error with the end of the server's log if it does not start
 */
export async function startEmbeddedPostgres(
  dataDir: string,
  options: EmbeddedPostgresOptions = {},
): Promise<EmbeddedPostgres> {
  const account = await serverAccount();
  const folder = path.join(path.resolve(dataDir), 'postgres');
  await prepareFolder(path.resolve(dataDir), folder, account);
  const { cluster, port, reused } = await withStartLock(path.join(folder, 'starting.lock'), async () => {
    const cluster = await openCluster(folder, account, options);
    const running = await runningPort(cluster);
    return { cluster, port: running ?? (await startServer(cluster, options)), reused: running !== null };
  });
  const owner = await connect(cluster, port, 'postgres');
  await ensureDatabase(owner);
  const owned = await takeOwnership(owner);
  return {
    url: urlOf(cluster, port, DATABASE),
    port,
    reused,
    stop: async () => {
      await owner.end().catch(() => undefined);
      if (owned) await stopServer(cluster);
    },
  };
}

async function openCluster(folder: string, account: Account, options: EmbeddedPostgresOptions): Promise<Cluster> {
  const cluster: Cluster = {
    binaries: await findBinaries(account),
    account,
    data: path.join(folder, 'data'),
    log: path.join(folder, 'postgres.log'),
    password: await readPassword(path.join(folder, 'password')),
  };
  if (!(await exists(path.join(cluster.data, INITIALIZED)))) await initialize(cluster, folder, options);
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
 * Creates the cluster, and marks it at the end: one whose creation was interrupted lacks the mark and is created again.
 */
async function initialize(cluster: Cluster, folder: string, options: EmbeddedPostgresOptions): Promise<void> {
  await rm(cluster.data, { recursive: true, force: true });
  const passwordFile = path.join(folder, 'password');
  // initdb runs as the server's account, which has to read the password.
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
  ]);
  await writeFile(path.join(cluster.data, INITIALIZED), `${cluster.binaries.version}\n`);
}

/** Starts the server and returns its port. If another process takes the port first, another port is tried. */
async function startServer(cluster: Cluster, options: EmbeddedPostgresOptions): Promise<number> {
  const attempts = 3;
  for (let attempt = 1; ; attempt += 1) {
    await appendFile(cluster.log, '');
    await giveToAccount(cluster.log, cluster.account);
    const port = await freePort();
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
      if (attempt === attempts) {
        const log = (await readFile(cluster.log, 'utf8').catch(() => '')).split('\n').slice(-12).join('\n');
        throw new Error(`the embedded PostgreSQL in ${cluster.data} does not start; its log ends with:\n${log}`, {
          cause,
        });
      }
      // The sessions of a killed server hold its shared memory for a moment longer.
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

function serverFlags(port: number, options: EmbeddedPostgresOptions): string[] {
  const settings: Record<string, string> = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    max_connections: String(options.maxConnections ?? 200),
    // In containers /dev/shm is often small.
    dynamic_shared_memory_type: process.platform === 'win32' ? 'windows' : 'mmap',
    log_timezone: 'UTC',
    timezone: 'UTC',
  };
  if (options.durable === false) {
    Object.assign(settings, { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' });
  }
  return Object.entries(settings).map(([name, value]) => `-c ${name}=${value === '' ? "''" : value}`);
}

async function stopServer(cluster: Cluster): Promise<void> {
  if ((await runningPort(cluster)) === null) return;
  await runAs(cluster, cluster.binaries.pgCtl, ['stop', '--wait', '--mode=fast', `--pgdata=${cluster.data}`]);
}

/**
 * The port of the server that runs on this cluster, by its pid file; null if none runs. In the pid file of a killed
 * server the process id is replaced, because it may now belong to another process or to a zombie, which PostgreSQL
 * would take for a running server. The rest of the file stays, so that PostgreSQL still finds sessions that outlived
 * the server.
 */
async function runningPort(cluster: Cluster): Promise<number | null> {
  const file = path.join(cluster.data, 'postmaster.pid');
  for (let attempt = 0; attempt < 1200; attempt += 1) {
    const text = await readFile(file, 'utf8').catch(() => null);
    if (text === null) return null;
    // The lines are: pid, data folder, start time, port, socket folder, address, shared memory, status.
    const lines = text.split('\n');
    if (!(await isServer(Number(lines[0]), cluster))) {
      if (lines.length > 1) await writeFile(file, [String(NO_PID), ...lines.slice(1)].join('\n'));
      return null;
    }
    if (lines[7]?.trim() === 'ready') return Number(lines[3]);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`PostgreSQL in ${cluster.data} was neither ready nor stopped after two minutes, see ${cluster.log}`);
}

/** Whether the process is this cluster's server, which pg_ctl starts as `postgres -D <data> …`. */
async function isServer(pid: number, cluster: Cluster): Promise<boolean> {
  const command = await commandLine(pid);
  return command.includes('postgres') && command.includes(cluster.data);
}

async function connect(cluster: Cluster, port: number, database: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: urlOf(cluster, port, database), application_name: 'readapt-owner' });
  // This connection only holds the ownership lock: losing it must not end the process.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

async function ensureDatabase(client: pg.Client): Promise<void> {
  const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE]);
  if (rowCount !== 0) return;
  await client.query(`CREATE DATABASE ${DATABASE}`).catch((error: { code?: string }) => {
    if (error.code !== '42P04' && error.code !== '23505') throw error;
  });
}

async function takeOwnership(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ owned: boolean }>('SELECT pg_try_advisory_lock($1) AS owned', [OWNER_LOCK]);
  return rows[0]?.owned === true;
}

function urlOf(cluster: Cluster, port: number, database: string): string {
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

import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import type { Logger } from '../../lib/logger.ts';
import { prepareFolder, serverAccount } from './account.ts';
import { clusterData, hasCluster, openCluster, startPostgres, urlOf, type PostgresOptions } from './cluster.ts';
import { endServer, runningPort } from './running-server.ts';
import { withStartLock } from './start-lock.ts';
import { superviseServer, type Supervision } from './supervision.ts';
import { leave, livingUsers, registerUser } from './users.ts';
import { startWatchdog } from './watchdog/watchdog.ts';

const DATABASE = 'readapt';

export interface EmbeddedPostgres extends Pick<Supervision, 'check' | 'lost'> {
  /** URL by which clients connect to the database `readapt`. */
  url: string;
  port: number;
  /** Whether the server was running before this start, and is shared with other processes. */
  reused: boolean;
  /** Stops the server, unless other processes use it. */
  stop(): Promise<void>;
}

export interface EmbeddedPostgresOptions extends PostgresOptions {
  /**
   * Whether to refuse a data folder that another process has opened exclusively. By default (false), processes share
   * the server.
   */
  exclusive?: boolean;
  /**
   * Whether to remove the data folder when this process stops the server, or ends without stopping it (default false).
   */
  temporary?: boolean;
  logger?: Pick<Logger, 'info' | 'warn' | 'error'>;
}

/** Whether a data folder has the completely created database of an earlier start. */
export function hasEmbeddedPostgres(dataDir: string): Promise<boolean> {
  return hasCluster(path.join(path.resolve(dataDir), 'postgres'));
}

/**
 * Starts PostgreSQL in `<dataDir>/postgres`, and creates the cluster at the first start. A server that is already
 * running is shared. It ends with the last process that uses it, however that process ends. A server that dies is
 * restarted.
 *
 * @throws Error with the end of the server's log if it does not start; DataFolderInUseError
 */
export async function startEmbeddedPostgres(
  dataDir: string,
  options: EmbeddedPostgresOptions = {},
): Promise<EmbeddedPostgres> {
  const { exclusive = false, temporary = false, logger } = options;
  const absolute = path.resolve(dataDir);
  const folder = path.join(absolute, 'postgres');
  const account = await serverAccount();
  await prepareFolder(absolute, folder, account);
  // The watchdog comes first, so that this process may die at any time from here on.
  const watchdog = await startWatchdog({ folder, remove: temporary ? absolute : null }, logger);
  let user: string | null = null;
  let supervision: Supervision | null = null;

  const stop = async (): Promise<void> => {
    try {
      const unused = await withStartLock(folder, async () => {
        supervision?.stop();
        if (user !== null) await leave(user);
        if ((await livingUsers(folder)).length > 0) return false;
        await endServer(clusterData(folder));
        return true;
      });
      if (temporary && unused) await rm(absolute, { recursive: true, force: true });
    } finally {
      watchdog.release();
    }
  };

  try {
    const { cluster, port, reused } = await withStartLock(folder, async () => {
      const isShared = (await livingUsers(folder)).length > 0;
      user = await registerUser(folder, { exclusive, dataDir: absolute });
      const cluster = await openCluster(folder, account, options);
      const running = await runningPort(cluster.data);
      // Other processes may be waiting for a server that has died, on the port that they know.
      const known = isShared ? await readPort(folder) : undefined;
      const port = running ?? (await startPostgres(cluster, options, { fixedPort: known }));
      await writeFile(portFileOf(folder), String(port));
      return { cluster, port, reused: running !== null };
    });
    supervision = superviseServer({ ...options, folder, cluster, port });
    await ensureDatabase(urlOf(cluster, port, 'postgres'));
    const { check, lost } = supervision;
    return { url: urlOf(cluster, port, DATABASE), port, reused, check, lost, stop };
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
}

function portFileOf(folder: string): string {
  return path.join(folder, 'port');
}

async function readPort(folder: string): Promise<number | undefined> {
  const text = await readFile(portFileOf(folder), 'utf8').catch(() => '');
  return text === '' ? undefined : Number(text);
}

async function ensureDatabase(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, application_name: 'readapt-start' });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE]);
    if (rowCount !== 0) return;
    await client.query(`CREATE DATABASE ${DATABASE}`).catch((error: { code?: string }) => {
      if (error.code !== '42P04' && error.code !== '23505') throw error;
    });
  } finally {
    await client.end();
  }
}

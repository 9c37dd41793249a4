import { backoff } from '../../lib/backoff.ts';
import type { Logger } from '../../lib/logger.ts';
import { AppError } from '../contract/errors.ts';
import { startPostgres, type Cluster, type PostgresOptions } from './cluster.ts';
import { processIdentity } from './processes.ts';
import { runningPid, runningPort } from './running-server.ts';
import { withStartLock } from './start-lock.ts';

const WATCH_MS = 500;
const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 10_000;
/**
 * Time after which a running server counts as healthy, in milliseconds. Its restarts are then counted from zero again.
 */
const HEALTHY_AFTER_MS = 60_000;
/** Number of successive restarts, over about a minute, after which the server counts as lost. */
const MOST_RESTARTS = 10;

export interface Supervision {
  /** Requires that the server is up. @throws AppError with the problem while the server is down */
  check(): Promise<void>;
  /** Promise that resolves when the server is down and cannot be started again. */
  lost: Promise<Error>;
  /** Ends the supervision. Call this while holding the start lock, so that no restart is in progress. */
  stop(): void;
}

export interface SupervisionOptions extends PostgresOptions {
  /** Path of the folder of the embedded PostgreSQL. */
  folder: string;
  cluster: Cluster;
  /** Port at which clients expect the server. A restarted server has to use it again. */
  port: number;
  logger?: Pick<Logger, 'info' | 'warn' | 'error'>;
}

/** Restarts the server on its port whenever it has died, whatever the cause. */
export function superviseServer(options: SupervisionOptions): Supervision {
  const { folder, cluster, port, logger } = options;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  /** Identity of the server's process, so that another process with the same id is not mistaken for it. */
  let server: string | null = null;
  let fault: string | null = null;
  let restarts = 0;
  let upSince = Date.now();
  let lose: (error: Error) => void = () => undefined;
  const lost = new Promise<Error>((resolve) => (lose = resolve));

  const later = (work: () => Promise<void>, delayMs: number): void => {
    if (!stopped) timer = setTimeout(() => void work(), delayMs).unref();
  };

  async function watch(): Promise<void> {
    server ??= await processIdentity((await runningPid(cluster.data)) ?? NaN);
    if (server !== null && (await processIdentity(Number.parseInt(server, 10))) === server)
      return later(watch, WATCH_MS);
    server = null;
    if (stopped) return;
    if (Date.now() - upSince > HEALTHY_AFTER_MS) restarts = 0;
    fault = 'the embedded PostgreSQL has ended and is being started again';
    logger?.error({ log: cluster.log }, fault);
    scheduleRestart(new Error('it ends again soon after each start'));
  }

  function scheduleRestart(cause: unknown): void {
    restarts += 1;
    if (restarts > MOST_RESTARTS) {
      fault = 'the embedded PostgreSQL has ended and could not be started again: the log has the cause';
      logger?.error({ err: cause }, fault);
      return lose(new Error(`the embedded PostgreSQL could not be started again, see ${cluster.log}`, { cause }));
    }
    later(restart, backoff(FIRST_DELAY_MS, restarts, LONGEST_DELAY_MS));
  }

  async function restart(): Promise<void> {
    try {
      await withStartLock(folder, async () => {
        if (stopped) return;
        const running = await runningPort(cluster.data);
        // Do not wait for sessions here: the restart is repeated anyway, and a process that wants to stop the server
        // waits for this lock.
        if (running === null) await startPostgres(cluster, options, { fixedPort: port, sessionsEndMs: 0 });
        else if (running !== port) throw new Error(`another process has started it on port ${running}`);
      });
    } catch (error) {
      logger?.warn({ err: error, restarts }, 'the embedded PostgreSQL could not be started again yet');
      return scheduleRestart(error);
    }
    if (stopped) return;
    fault = null;
    upSince = Date.now();
    logger?.info({ port, restarts }, 'the embedded PostgreSQL is running again');
    later(watch, WATCH_MS);
  }

  later(watch, WATCH_MS);
  return {
    lost,
    async check() {
      if (fault === null) return;
      throw new AppError({ code: 'unavailable', status: 503, message: fault });
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

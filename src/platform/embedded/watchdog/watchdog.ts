import type { ChildProcess } from 'node:child_process';
import { forkModule, modulePath } from '../../../../core/installation/child-module.ts';
import type { Logger } from '../../../lib/logger.ts';
import { processIdentity } from '../processes.ts';

const RESTART_MS = 1000;

/** Orders for the watchdog process, passed as JSON in its first argument. */
export interface WatchdogOrders {
  /** Process that the watchdog watches. */
  owner: { pid: number; identity: string };
  /** Folder of the embedded PostgreSQL. */
  folder: string;
  /** Path of the folder to remove when the watched process is gone; null if none is to be removed. */
  remove: string | null;
}

export interface Watchdog {
  /** Ends the watchdog process without letting it stop the server or remove the folder. */
  release(): void;
}

/**
 * Starts a small process, the watchdog, that outlives this process, even if the whole process group is killed. When
 * this process has ended, the watchdog stops the server, unless other processes use it. The watchdog notices the end
 * because the system closes the channel between the two processes.
 */
export async function startWatchdog(
  orders: Omit<WatchdogOrders, 'owner'>,
  logger?: Pick<Logger, 'warn'>,
): Promise<Watchdog> {
  const identity = (await processIdentity(process.pid)) ?? String(process.pid);
  const argument = JSON.stringify({ ...orders, owner: { pid: process.pid, identity } } satisfies WatchdogOrders);
  let child: ChildProcess | undefined;
  let timer: NodeJS.Timeout | undefined;
  let released = false;

  const start = (): void => {
    child = forkModule(modulePath('./watchdog-process', import.meta.url), [argument], {
      detached: true,
      cwd: '/',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    // Neither the watchdog nor the channel to it keeps this process alive.
    child.unref();
    child.channel?.unref();
    const restart = (reason: string): void => {
      if (child === undefined) return;
      child = undefined;
      if (released) return;
      logger?.warn({ reason }, 'the watchdog of the embedded PostgreSQL ended: starting it again');
      timer = setTimeout(start, RESTART_MS).unref();
    };
    child.once('exit', (code, signal) => restart(signal ?? `exit code ${code}`));
    child.on('error', (error) => {
      if (child?.pid === undefined) restart(error.message);
    });
  };
  start();
  return {
    release() {
      released = true;
      clearTimeout(timer);
      child?.kill('SIGKILL');
    },
  };
}

/**
 * Watchdog process of an embedded PostgreSQL. It waits until the process that started it is gone. Then it stops the
 * server, unless other processes use it, and removes the data folder if that was temporary. Its first argument has its
 * orders as JSON.
 */
import { appendFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { clusterData } from '../cluster.ts';
import { processIdentity } from '../processes.ts';
import { endServer } from '../running-server.ts';
import { withStartLock } from '../start-lock.ts';
import { livingUsers } from '../users.ts';
import type { WatchdogOrders } from './watchdog.ts';

/**
 * Time for which a removed data folder has to stay away before its removal counts as complete, in milliseconds. Child
 * processes of the watched process may still write for a while, and so create the folder again.
 */
const QUIET_MS = 2000;
const REMOVE_WITHIN_MS = 60_000;

const { owner, folder, remove } = JSON.parse(process.argv[2] ?? '{}') as WatchdogOrders;
// A service manager may send a signal to all processes of a service. The watchdog has to outlive its owner all the
// same.
for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);
if (process.connected) await new Promise((resolve) => process.once('disconnect', resolve));
// The channel closes a moment before the process is gone.
while ((await processIdentity(owner.pid)) === owner.identity) await sleep(20);

try {
  const unused = await withStartLock(folder, async () => {
    if ((await livingUsers(folder)).length > 0) return false;
    await endServer(clusterData(folder));
    return true;
  });
  if (unused && remove !== null) await removeForGood(remove);
} catch (error) {
  await appendFile(path.join(folder, 'postgres.log'), `readapt's watchdog failed: ${String(error)}\n`).catch(() => {});
  process.exitCode = 1;
}

async function removeForGood(target: string): Promise<void> {
  const deadline = Date.now() + REMOVE_WITHIN_MS;
  for (let absentSince: number | null = null; Date.now() < deadline; await sleep(100)) {
    if (await stat(target).catch(() => null)) {
      absentSince = null;
      await rm(target, { recursive: true, force: true }).catch(() => undefined);
    } else if (Date.now() - (absentSince ??= Date.now()) > QUIET_MS) return;
  }
}

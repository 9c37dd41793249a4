import { randomUUID } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { createLockFile, dropLockFile } from '../../../core/formats/lock-file.ts';
import { processIdentity } from './processes.ts';

const WAIT_MS = 180_000;
const POLL_MS = 50;

/**
 * Runs `work` while holding a lock file in `folder`, so that only one process at a time runs it. The lock of a dead
 * process is taken over.
 *
 * @throws Error if another process holds the lock for more than three minutes
 */
export async function withStartLock<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const file = path.join(folder, 'starting.lock');
  const mine = `${(await processIdentity(process.pid)) ?? process.pid} ${randomUUID()}`;
  const deadline = Date.now() + WAIT_MS;
  while (!(await createLockFile(file, mine))) {
    if (Date.now() > deadline)
      throw new Error(`the lock ${file} has been held by another process for more than ${WAIT_MS / 60_000} minutes`);
    await dropIfStale(file);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  try {
    return await work();
  } finally {
    await rm(file, { force: true });
  }
}

async function dropIfStale(file: string): Promise<void> {
  const content = await readFile(file, 'utf8').catch(() => null);
  if (content === null) return;
  const identity = content.split(' ')[0] ?? '';
  if ((await processIdentity(Number.parseInt(identity, 10))) === identity) return;
  await dropLockFile(file, content);
}

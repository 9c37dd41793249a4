import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { UsageError } from '../../../cli/process/errors.ts';
import { createLockFile, dropLockFile } from '../../../core/formats/lock-file.ts';

/**
 * Runs `work` with a lock on the folder of results, so that one process at a time measures there. It takes over the
 * lock of a dead process.
 * @throws UsageError naming the process that holds the lock
 */
export async function withOutLock<T>(out: string, work: () => Promise<T>): Promise<T> {
  const file = path.join(out, 'run.lock');
  const mine = String(process.pid);
  await mkdir(out, { recursive: true });
  if (!(await createLockFile(file, mine))) {
    await dropIfStale(file);
    if (!(await createLockFile(file, mine))) throw new UsageError(heldText(out, file, await ownerOf(file)));
  }
  try {
    return await work();
  } finally {
    await rm(file, { force: true });
  }
}

function heldText(out: string, file: string, owner: string | null): string {
  return (
    `process ${owner ?? 'unknown'} is measuring in ${out}; wait for its end or take another --out. ` +
    `If that process is something else, remove ${file}`
  );
}

async function dropIfStale(file: string): Promise<void> {
  const owner = await ownerOf(file);
  if (owner === null || isAlive(Number(owner))) return;
  await dropLockFile(file, owner);
}

function ownerOf(file: string): Promise<string | null> {
  return readFile(file, 'utf8').catch(() => null);
}

/** Whether another process with this id runs. A lock with our own id is stale: restarted containers reuse ids. */
function isAlive(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // We may not signal the process of another user, but it exists.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

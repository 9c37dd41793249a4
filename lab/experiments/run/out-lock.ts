import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { UsageError } from '../../../cli/errors.ts';
import { createLockFile, dropLockFile } from '../../../core/formats/lock-file.ts';

/**
 * Runs `work` while this process alone measures in the folder of results. The lock of a process that is dead is taken over.
 * @throws UsageError naming the process that has it
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
    `process ${owner ?? 'unknown'} is measuring in ${out}; wait for its end or take another --out. If that process is something ` +
    `else, remove ${file}`
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

/** This process has no lock yet: where it is the owner, an earlier one had the same number, as in a container that was started again. */
function isAlive(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // A process of another user may not be sent a signal, but it is there.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { UsageError } from '../../cli/errors.ts';

/**
 * Runs `work` while this process alone measures in the folder of results. The lock of a process that is dead is taken over.
 * @throws UsageError naming the process that has it
 */
export async function withOutLock<T>(out: string, work: () => Promise<T>): Promise<T> {
  const file = path.join(out, 'run.lock');
  await mkdir(out, { recursive: true });
  if (!(await create(file))) {
    await dropIfStale(file);
    if (!(await create(file))) throw new UsageError(heldText(out, file, await ownerOf(file)));
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

/** A link appears together with its content. @returns false if the lock is there already */
async function create(file: string): Promise<boolean> {
  const temporary = `${file}.${randomUUID()}`;
  await writeFile(temporary, String(process.pid));
  try {
    await link(temporary, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  } finally {
    await rm(temporary, { force: true });
  }
}

async function dropIfStale(file: string): Promise<void> {
  const owner = await ownerOf(file);
  if (owner === null || isAlive(Number(owner))) return;
  const aside = `${file}.${randomUUID()}`;
  await rename(file, aside).catch(() => undefined);
  // Another process may have taken the lock over in the meantime: then it gets it back.
  const moved = await ownerOf(aside);
  if (moved !== null && moved !== owner) await link(aside, file).catch(() => undefined);
  await rm(aside, { force: true });
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

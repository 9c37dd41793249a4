import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';

/**
 * Creates a lock file under its final name only when its content is complete, by linking to a temporary file.
 * @returns false if the lock file exists already
 */
export async function createLockFile(file: string, content: string): Promise<boolean> {
  const temporary = `${file}.${randomUUID()}`;
  await writeFile(temporary, content);
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

/**
 * Removes a lock file whose owner is dead. If another process has taken the lock in the meantime, its file is restored.
 * @param content content of the file when its owner was found dead
 */
export async function dropLockFile(file: string, content: string): Promise<void> {
  const aside = `${file}.${randomUUID()}`;
  await rename(file, aside).catch(() => undefined);
  // Another process may have taken the lock in the meantime: restore its file.
  const moved = await readFile(aside, 'utf8').catch(() => null);
  if (moved !== null && moved !== content) await link(aside, file).catch(() => undefined);
  await rm(aside, { force: true });
}

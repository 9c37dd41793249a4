import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** No writer is silent for so long: every file it adds touches the folder. */
const STALE_MS = 3_600_000;

/**
 * Writes a file that is either not there (or unchanged) or complete, whatever happens in between: temporary name in
 * the same folder, sync, rename, sync of the folder. What a throwing `write` left is removed; what a killed process
 * left (`<name>.tmp-…`) is removed by a later write of the same name, once it is an hour old.
 * @param write writes to the handle, or the content itself
 */
export async function writeFileAtomic(
  path: string,
  write: Uint8Array | string | ((handle: FileHandle) => Promise<void>),
): Promise<void> {
  const temporary = temporaryName(path);
  await removeStale(path);
  try {
    const handle = await open(temporary, 'wx');
    try {
      if (typeof write === 'function') await write(handle);
      else await writeFully(handle, typeof write === 'string' ? Buffer.from(write, 'utf8') : write);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

export interface WriteFolderOptions {
  /** Replace a folder that is there. Default false: a non-empty folder of that name is an error (ENOTEMPTY). */
  readonly replace?: boolean;
}

/**
 * Builds a whole folder under a temporary name beside it and renames it when complete. `build` writes its files with
 * {@link writeFileAtomic} (or syncs them itself). With `replace`, the old folder is moved aside first (`<name>.old-…`)
 * and removed last; a process killed just between the two renames leaves it there, whole.
 */
export async function writeFolderAtomic(
  path: string,
  build: (folder: string) => Promise<void>,
  options: WriteFolderOptions = {},
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await removeStale(path);
  const temporary = temporaryName(path);
  try {
    await mkdir(temporary);
    await build(temporary);
    await syncFolder(temporary);
    if (options.replace) await replaceFolder(temporary, path);
    else await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Writes all of `bytes` at the handle's position (one write call may take less). */
export async function writeFully(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, done, Math.min(bytes.length - done, 1 << 30));
    done += bytesWritten;
  }
}

async function replaceFolder(temporary: string, path: string): Promise<void> {
  const aside = `${path}.old-${randomBytes(6).toString('hex')}`;
  const moved = await rename(path, aside).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
  try {
    await rename(temporary, path);
  } catch (error) {
    if (moved) await rename(aside, path);
    throw error;
  }
  if (moved) await rm(aside, { recursive: true, force: true });
}

function temporaryName(path: string): string {
  return `${path}.tmp-${randomBytes(6).toString('hex')}`;
}

/**
 * Removes temporaries of this name that nobody has touched for an hour. By age and not by process id: writers may be
 * in different containers that share the volume.
 */
async function removeStale(path: string): Promise<void> {
  const folder = dirname(path);
  const prefix = `${basename(path)}.tmp-`;
  for (const name of await readdir(folder)) {
    if (!name.startsWith(prefix) || !/^[0-9a-f]{12}$/.test(name.slice(prefix.length))) continue;
    const stats = await stat(join(folder, name)).catch(() => undefined);
    if (stats && Date.now() - stats.mtimeMs > STALE_MS) await rm(join(folder, name), { recursive: true, force: true });
  }
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

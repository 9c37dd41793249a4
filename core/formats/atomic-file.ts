import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/**
 * Age at which a temporary file or folder counts as abandoned. A running writer never reaches it, because every file
 * that it adds renews the folder's modification time.
 */
const STALE_MS = 3_600_000;

/**
 * Writes a file atomically: after a crash, `path` is either complete or unchanged. The content goes to a temporary file
 * in the same folder, which is synced and renamed; then the folder is synced. The temporary file is removed if `write`
 * throws. If the process is killed and leaves one behind (`<name>.tmp-…`), a later write of the same name removes it
 * once it is an hour old.
 * @param write the content, or a function that writes it to the given handle
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

interface WriteFolderOptions {
  /**
   * Whether an existing folder is replaced. Default false: a folder that exists and is not empty is an error
   * (ENOTEMPTY).
   */
  readonly replace?: boolean;
}

/**
 * Builds a folder under a temporary name beside `path` and renames it when it is complete. With `replace`, the old
 * folder is first moved aside (`<name>.old-…`) and removed last; if the process is killed between the two renames, the
 * complete old folder stays under that name.
 * @param build writes the folder's files with {@link writeFileAtomic}, or syncs them itself
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

/** Writes all of `bytes` at the handle's position; a single write call may write only part of them. */
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
 * Removes temporary files and folders that earlier writes to `path` have abandoned. They are recognized by age rather
 * than by the writer's process id, because writers in different containers may share the volume.
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

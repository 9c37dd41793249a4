import { copyFile, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { writeFolderAtomic } from '../core/formats/atomic-file.ts';

/** A folder for the time of `use`; removed whatever happens. */
export async function withTemporaryFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'readapt-'));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Copies the files of a flat folder; the target appears, or is replaced, whole. */
export async function copyFolder(from: string, to: string): Promise<void> {
  const build = async (folder: string): Promise<void> => {
    for (const name of await readdir(from)) await copyFile(join(from, name), join(folder, name));
  };
  await writeFolderAtomic(resolve(to), build, { replace: true });
}

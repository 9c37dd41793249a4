import { randomUUID } from 'node:crypto';
import { lstat, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setWritable } from './durable-files.ts';
import { joinOwners, ofDeadOwners } from './scratch.ts';

/**
 * Folder for the temporary files of a process. The name of each file contains the process, so that the files of dead
 * processes can be removed.
 */
export interface Temporaries {
  /** Folder that contains `tmp/` and `owners/`. */
  readonly root: string;
  /** Name prefix of this process's files. */
  readonly prefix: string;
  /** Runs `work` with a path at which nothing exists, and afterwards removes what `work` has put there. */
  at<T>(work: (path: string) => Promise<T>): Promise<T>;
  /** Runs `work` with an empty temporary folder, and removes the folder afterwards. */
  folder<T>(work: (folder: string) => Promise<T>): Promise<T>;
}

/** Opens the folder for temporary files, and removes the files of dead processes from it. */
export async function openTemporaries(root: string): Promise<Temporaries> {
  await mkdir(join(root, 'tmp'), { recursive: true });
  const prefix = await joinOwners(root);
  await removeStale(root);
  const at = async <T>(work: (path: string) => Promise<T>): Promise<T> => {
    const path = join(root, 'tmp', `${prefix}${randomUUID()}`);
    try {
      return await work(path);
    } finally {
      await removeTree(path);
    }
  };
  return { root, prefix, at, folder: (work) => at((folder) => mkdir(folder).then(() => work(folder))) };
}

export type EntryKind = 'file' | 'folder';

/** Tells whether there is a file or a folder at a path; undefined if there is nothing. */
export async function kindOfEntry(path: string): Promise<EntryKind | undefined> {
  try {
    return (await lstat(path)).isDirectory() ? 'folder' : 'file';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function removeTree(path: string): Promise<void> {
  if ((await kindOfEntry(path)) === undefined) return;
  await setWritable(path, true);
  await rm(path, { recursive: true, force: true });
}

async function removeStale(root: string): Promise<void> {
  const temporary = join(root, 'tmp');
  const names = await readdir(temporary);
  for (const name of await ofDeadOwners(root, names)) await removeTree(join(temporary, name));
}

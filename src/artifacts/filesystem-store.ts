import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, lstat, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import type { ArtifactKind, ArtifactStore, StoredArtifact } from './artifact-store.ts';
import {
  copyFolderHashed,
  describeFolder,
  hashFile,
  readPlainFile,
  setWritable,
  syncFolder,
  writeHashed,
} from './durable-files.ts';
import { folderDigest, totalBytes } from './manifest.ts';
import { corruptArtifact, missingArtifact, toStorageError } from './storage-errors.ts';
import { tarOf } from './tar-stream.ts';

/** Temporary files and folders that have not changed for this time were left by a process that died. */
const STALE_MS = 3_600_000;
const DIGEST = /^sha256:([0-9a-f]{2})([0-9a-f]{62})$/;

/**
 * Stores artifacts below `root` as `sha256/ab/cdef…`, a read-only file or folder each. A put is written to `tmp/`
 * first, so that a rename within one file system makes it visible as a whole. Temporaries of crashed processes are
 * removed here.
 */
export async function createFilesystemStore(root: string): Promise<ArtifactStore> {
  const temporary = join(root, 'tmp');
  await storageCall(async () => {
    await mkdir(join(root, 'sha256'), { recursive: true });
    await mkdir(temporary, { recursive: true });
    await removeStale(temporary);
  });
  return {
    putFile: (source, kind) => storageCall(() => putFile(root, source, kind)),
    putFolder: (folder, kind) => storageCall(() => putFolder(root, folder, kind)),
    has: async (digest) => (await kindOfEntry(pathOf(root, digest))) !== undefined,
    localPath: (digest) => existing(root, digest),
    createReadStream: async (digest) => createReadStream(await existing(root, digest)),
    tarStream: async (digest, options) => tarOf(await existing(root, digest), options?.prefix ?? ''),
    verify: (digest) => verify(root, digest),
    remove: (digest) => remove(root, digest),
    checkWritable: () => storageCall(() => withTemporary(root, writeProbe)),
    withScratch: (work) => storageCall(() => withTemporary(root, (folder) => mkdir(folder).then(() => work(folder)))),
  };
}

async function putFile(
  root: string,
  source: AsyncIterable<Uint8Array> | string,
  kind: ArtifactKind,
): Promise<StoredArtifact> {
  return withTemporary(root, async (temporary) => {
    const stream = typeof source === 'string' ? readPlainFile(source) : source;
    const { bytes, sha256 } = await writeHashed(temporary, stream);
    const digest = `sha256:${sha256}`;
    await publish(root, temporary, digest, 'file');
    return { digest, kind, bytes };
  });
}

/** More than the last free bytes of a block that a full disk may still give away. */
const PROBE_BYTES = 64 * 1024;

async function writeProbe(path: string): Promise<void> {
  await writeHashed(path, Readable.from([Buffer.alloc(PROBE_BYTES, 1)]));
}

async function putFolder(root: string, folder: string, kind: ArtifactKind): Promise<StoredArtifact> {
  return withTemporary(root, async (temporary) => {
    const entries = await copyFolderHashed(folder, temporary);
    const digest = folderDigest(entries);
    await publish(root, temporary, digest, 'folder');
    return { digest, kind, bytes: totalBytes(entries) };
  });
}

/** Renames a complete, synced temporary to its final place, unless the same content is there already. */
async function publish(root: string, temporary: string, digest: string, kind: EntryKind): Promise<void> {
  const target = pathOf(root, digest);
  await mkdir(dirname(target), { recursive: true });
  const present = await kindOfEntry(target);
  if (present === undefined) {
    await rename(temporary, target).catch(async (error: NodeJS.ErrnoException) => {
      // Another put of the same folder was faster. For a file, rename has replaced equal bytes.
      const lostRace = error.code === 'ENOTEMPTY' || error.code === 'EEXIST' || error.code === 'EACCES';
      if (!lostRace || (await kindOfEntry(target)) !== kind) throw error;
    });
  } else if (present !== kind) {
    throw new Error(`artifact ${digest} is stored as a ${present}, expected a ${kind}`);
  }
  try {
    // Only after the rename, because a folder has to be writable to be moved.
    await setWritable(target, false);
  } catch (error) {
    // The content existed and has just been discarded, so this put's bytes take its place.
    if (present === undefined || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return publish(root, temporary, digest, kind);
  }
  await syncFolder(dirname(target));
  await syncFolder(dirname(dirname(target)));
}

async function verify(root: string, digest: string): Promise<void> {
  const path = await existing(root, digest);
  const isFolder = (await kindOfEntry(path)) === 'folder';
  const found = isFolder ? folderDigest(await describeFolder(path)) : `sha256:${(await hashFile(path)).sha256}`;
  if (found !== digest) throw corruptArtifact(digest, found);
}

/** Moves the content to a temporary name in one step and then deletes it, so that no reader finds half of it. */
async function remove(root: string, digest: string): Promise<void> {
  const path = pathOf(root, digest);
  const kind = await kindOfEntry(path);
  if (kind === undefined) return;
  if (kind === 'folder') await chmod(path, 0o755);
  await withTemporary(root, (aside) => rename(path, aside));
}

type EntryKind = 'file' | 'folder';

async function kindOfEntry(path: string): Promise<EntryKind | undefined> {
  try {
    return (await lstat(path)).isDirectory() ? 'folder' : 'file';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function existing(root: string, digest: string): Promise<string> {
  const path = pathOf(root, digest);
  if ((await kindOfEntry(path)) === undefined) throw missingArtifact(digest);
  return path;
}

function pathOf(root: string, digest: string): string {
  const parts = DIGEST.exec(digest);
  if (parts === null) throw new Error(`"${digest}" is not an artifact digest, expected sha256:<64 hex digits>`);
  return join(root, 'sha256', parts[1]!, parts[2]!);
}

async function withTemporary<T>(root: string, work: (path: string) => Promise<T>): Promise<T> {
  const path = join(root, 'tmp', randomUUID());
  try {
    return await work(path);
  } finally {
    await removeTree(path);
  }
}

async function removeTree(path: string): Promise<void> {
  if ((await kindOfEntry(path)) === undefined) return;
  await setWritable(path, true);
  await rm(path, { recursive: true, force: true });
}

async function removeStale(temporary: string): Promise<void> {
  for (const name of await readdir(temporary)) {
    const path = join(temporary, name);
    const stats = await stat(path).catch(() => undefined);
    if (stats !== undefined && Date.now() - stats.mtimeMs > STALE_MS) await removeTree(path);
  }
}

async function storageCall<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toStorageError(error);
  }
}

import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, lstat, mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
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
import { joinOwners, ofDeadOwners, ownerOf } from './scratch.ts';
import { corruptArtifact, missingArtifact, toStorageError } from './storage-errors.ts';
import { tarOf } from './tar-archive.ts';

/** Temporaries from before version 0.3, which name no owner, count as left behind after this time. */
const STALE_MS = 3_600_000;
const DIGEST = /^sha256:([0-9a-f]{2})([0-9a-f]{62})$/;

/**
 * Stores artifacts below `root` as `sha256/ab/cdef…`, a read-only file or folder each. A put is written to `tmp/`
 * first, so that a rename within one file system makes it visible as a whole. Temporaries name the process that owns them,
 * and those of dead processes are removed here.
 */
export async function createFilesystemStore(root: string): Promise<ArtifactStore> {
  const store = await storageCall(() => openStore(root));
  return {
    putFile: (source, kind) => storageCall(() => putFile(store, source, kind)),
    putFolder: (folder, kind) => storageCall(() => putFolder(store, folder, kind)),
    has: async (digest) => (await kindOfEntry(artifactPath(root, digest))) !== undefined,
    localPath: (digest) => existing(root, digest),
    createReadStream: async (digest) => createReadStream(await existing(root, digest)),
    tarArchive: async (digest, options) => tarOf(await existing(root, digest), options?.prefix ?? ''),
    verify: (digest) => verify(root, digest),
    list: () => list(root),
    remove: (digest) => remove(store, digest),
    checkWritable: () => storageCall(() => withTemporary(store, writeProbe)),
    withScratch: (work) => storageCall(() => withTemporary(store, (folder) => mkdir(folder).then(() => work(folder)))),
  };
}

interface OpenStore {
  readonly root: string;
  /** What the names of this process's temporaries begin with. */
  readonly prefix: string;
}

async function openStore(root: string): Promise<OpenStore> {
  await mkdir(join(root, 'sha256'), { recursive: true });
  await mkdir(join(root, 'tmp'), { recursive: true });
  const prefix = await joinOwners(root);
  await removeStale(root);
  return { root, prefix };
}

async function putFile(
  store: OpenStore,
  source: AsyncIterable<Uint8Array> | string,
  kind: ArtifactKind,
): Promise<StoredArtifact> {
  return withTemporary(store, async (temporary) => {
    const stream = typeof source === 'string' ? readPlainFile(source) : source;
    const { bytes, sha256 } = await writeHashed(temporary, stream);
    const digest = `sha256:${sha256}`;
    await publish(store.root, temporary, digest, 'file');
    return { digest, kind, bytes };
  });
}

/** More than the last free bytes of a block that a full disk may still give away. */
const PROBE_BYTES = 64 * 1024;

async function writeProbe(path: string): Promise<void> {
  await writeHashed(path, Readable.from([Buffer.alloc(PROBE_BYTES, 1)]));
}

async function putFolder(store: OpenStore, folder: string, kind: ArtifactKind): Promise<StoredArtifact> {
  return withTemporary(store, async (temporary) => {
    const entries = await copyFolderHashed(folder, temporary);
    const digest = folderDigest(entries);
    await publish(store.root, temporary, digest, 'folder');
    return { digest, kind, bytes: totalBytes(entries) };
  });
}

/** Renames a complete, synced temporary to its final place, unless the same content is there already. */
async function publish(root: string, temporary: string, digest: string, kind: EntryKind): Promise<void> {
  const target = artifactPath(root, digest);
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
    // Content that was there already counts as put now.
    await utimes(target, new Date(), new Date());
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

async function* list(root: string): AsyncGenerator<{ digest: string; storedAt: Date }> {
  const folder = join(root, 'sha256');
  for (const start of (await readdir(folder)).sort()) {
    for (const rest of (await readdir(join(folder, start))).sort()) {
      const stats = await lstat(join(folder, start, rest)).catch(() => null);
      const digest = `sha256:${start}${rest}`;
      if (stats !== null && DIGEST.test(digest)) yield { digest, storedAt: stats.mtime };
    }
  }
}

/** Moves the content to a temporary name in one step and then deletes it, so that no reader finds half of it. */
async function remove(store: OpenStore, digest: string): Promise<void> {
  const path = artifactPath(store.root, digest);
  const kind = await kindOfEntry(path);
  if (kind === undefined) return;
  if (kind === 'folder') await chmod(path, 0o755);
  await withTemporary(store, (aside) => rename(path, aside));
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
  const path = artifactPath(root, digest);
  if ((await kindOfEntry(path)) === undefined) throw missingArtifact(digest);
  return path;
}

/** Where an artifact is below the folder of the store. */
export function artifactPath(root: string, digest: string): string {
  const parts = DIGEST.exec(digest);
  if (parts === null) throw new Error(`"${digest}" is not an artifact digest, expected sha256:<64 hex digits>`);
  return join(root, 'sha256', parts[1]!, parts[2]!);
}

async function withTemporary<T>({ root, prefix }: OpenStore, work: (path: string) => Promise<T>): Promise<T> {
  const path = join(root, 'tmp', `${prefix}${randomUUID()}`);
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

async function removeStale(root: string): Promise<void> {
  const temporary = join(root, 'tmp');
  const names = await readdir(temporary);
  for (const name of await ofDeadOwners(root, names)) await removeTree(join(temporary, name));
  for (const name of names.filter((one) => ownerOf(one) === null)) {
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

import { createReadStream } from 'node:fs';
import { chmod, lstat, mkdir, readdir, rename, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import type { ArtifactKind, ArtifactStore, StoredArtifact } from './artifact-store.ts';
import {
  copyFolderHashed,
  describeFolder,
  hashFile,
  listFiles,
  readPlainFile,
  setWritable,
  syncFolder,
  writeHashed,
} from './durable-files.ts';
import { folderDigest, isDigest, placeOf, quarantinePlace, totalBytes } from './manifest.ts';
import { NO_OWNERSHIP } from './ownership/store-ownership.ts';
import { corruptArtifact, missingArtifact, storedAs, toStorageError } from './storage-errors.ts';
import { filesOfFolder } from './stored-files.ts';
import { tarOf } from './tar/tar-archive.ts';
import { kindOfEntry, openTemporaries, type EntryKind, type Temporaries } from './temporaries.ts';

/**
 * Creates a store in the folder `root`. Each artifact is a read-only file or folder `sha256/ab/cdef…`. New content is
 * first written to `tmp/` and then renamed within the file system, so it becomes visible as a whole. The name of a
 * temporary file contains the process that wrote it. Opening the store removes the temporary files of dead processes.
 */
export async function createFilesystemStore(root: string): Promise<ArtifactStore> {
  const store = await storageCall(() => openStore(root));
  const localPath: ArtifactStore['localPath'] = async (digest, { verify: isVerified = false } = {}) => {
    const path = await existing(root, digest);
    if (isVerified) await verify(root, digest);
    return path;
  };
  const artifacts: ArtifactStore = {
    ownership: NO_OWNERSHIP,
    putFile: (source, kind) => storageCall(() => putFile(store, source, kind)),
    putFolder: (folder, kind) => storageCall(() => putFolder(store, folder, kind)),
    has: async (digest) => (await kindOfEntry(artifactPath(root, digest))) !== undefined,
    bytesOf: (digest) => bytesOf(root, digest),
    localPath,
    // Content stays where it is until it is removed, so nothing needs to be held.
    holding: (work) => work(artifacts),
    createReadStream: async (digest) => createReadStream(await existing(root, digest)),
    tarArchive: async (digest, options) => tarOf(await existing(root, digest), options?.prefix ?? ''),
    files: async (digest, to) => filesOfFolder(await existing(root, digest), digest, to),
    verify: (digest) => verify(root, digest),
    list: () => list(root),
    remove: (digest) => remove(store, digest),
    quarantine: (digest) => storageCall(() => quarantine(root, digest)),
    // Temporaries of dead processes are removed when a store is opened.
    removeLeftovers: () => Promise.resolve(0),
    checkWritable: () => storageCall(() => store.at(writeProbe)),
    withScratch: (work) => storageCall(() => store.folder(work)),
  };
  return artifacts;
}

async function openStore(root: string): Promise<Temporaries> {
  await mkdir(join(root, 'sha256'), { recursive: true });
  return openTemporaries(root);
}

async function putFile(
  store: Temporaries,
  source: AsyncIterable<Uint8Array> | string,
  kind: ArtifactKind,
): Promise<StoredArtifact> {
  return store.at(async (temporary) => {
    const stream = typeof source === 'string' ? readPlainFile(source) : source;
    const { bytes, sha256 } = await writeHashed(temporary, stream);
    const digest = `sha256:${sha256}`;
    await publish(store.root, temporary, digest, 'file');
    return { digest, kind, bytes };
  });
}

/**
 * Size in bytes of the file that is written to check whether the store is writable. On a full disk, a smaller file
 * might still fit.
 */
const PROBE_BYTES = 64 * 1024;

async function writeProbe(path: string): Promise<void> {
  await writeHashed(path, Readable.from([Buffer.alloc(PROBE_BYTES, 1)]));
}

async function putFolder(store: Temporaries, folder: string, kind: ArtifactKind): Promise<StoredArtifact> {
  return store.at(async (temporary) => {
    const entries = await copyFolderHashed(folder, temporary);
    const digest = folderDigest(entries);
    await publish(store.root, temporary, digest, 'folder');
    return { digest, kind, bytes: totalBytes(entries) };
  });
}

/**
 * Renames a complete temporary file or folder, already synced to disk, to its final place, unless the same content is
 * there already.
 */
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
    throw storedAs(digest, present, kind);
  }
  try {
    // This has to follow the rename, because a read-only folder cannot be moved.
    await setWritable(target, false);
    // Content that was there already counts as stored now.
    await utimes(target, new Date(), new Date());
  } catch (error) {
    // The content existed before and has just been discarded, so this put's bytes take its place.
    if (present === undefined || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return publish(root, temporary, digest, kind);
  }
  await syncFolder(dirname(target));
  await syncFolder(dirname(dirname(target)));
}

async function verify(root: string, digest: string): Promise<void> {
  const found = await digestAt(await existing(root, digest));
  if (found !== digest) throw corruptArtifact(digest, found);
}

/** Computes the digest of the file or folder at a path by reading it. */
export async function digestAt(path: string): Promise<string> {
  const isFolder = (await kindOfEntry(path)) === 'folder';
  return isFolder ? folderDigest(await describeFolder(path)) : `sha256:${(await hashFile(path)).sha256}`;
}

async function* list(root: string): AsyncGenerator<{ digest: string; storedAt: Date }> {
  const folder = join(root, 'sha256');
  for (const start of (await readdir(folder)).sort()) {
    for (const rest of (await readdir(join(folder, start))).sort()) {
      const stats = await lstat(join(folder, start, rest)).catch(() => null);
      const digest = `sha256:${start}${rest}`;
      if (stats !== null && isDigest(digest)) yield { digest, storedAt: stats.mtime };
    }
  }
}

async function bytesOf(root: string, digest: string): Promise<number | null> {
  const path = artifactPath(root, digest);
  const kind = await kindOfEntry(path);
  if (kind === undefined) return null;
  if (kind === 'file') return (await lstat(path)).size;
  let bytes = 0;
  for (const file of await listFiles(path)) bytes += (await lstat(join(path, file))).size;
  return bytes;
}

async function quarantine(root: string, digest: string): Promise<string> {
  const path = await existing(root, digest);
  const target = join(root, quarantinePlace(digest));
  await mkdir(dirname(target), { recursive: true });
  // A folder has to be writable to be moved.
  if ((await kindOfEntry(path)) === 'folder') await chmod(path, 0o755);
  await rename(path, target);
  return target;
}

/** Moves the content to a temporary name in one step and then deletes it, so that no reader finds half of it. */
async function remove(store: Temporaries, digest: string): Promise<void> {
  const path = artifactPath(store.root, digest);
  const kind = await kindOfEntry(path);
  if (kind === undefined) return;
  if (kind === 'folder') await chmod(path, 0o755);
  await store.at((aside) => rename(path, aside));
}

async function existing(root: string, digest: string): Promise<string> {
  const path = artifactPath(root, digest);
  if ((await kindOfEntry(path)) === undefined) throw missingArtifact(digest);
  return path;
}

/** Path of an artifact below the folder of the store. */
export function artifactPath(root: string, digest: string): string {
  return join(root, ...placeOf(digest).split('/'));
}

async function storageCall<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toStorageError(error);
  }
}

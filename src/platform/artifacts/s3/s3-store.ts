import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { ArtifactKind, ArtifactStore, StoredArtifact } from '../artifact-store.ts';
import type { Fetch, LocalCache } from '../cache/local-cache.ts';
import { describeFolder, hashBytes, readPlainFile, writeHashed, type HashedBytes } from '../durable-files.ts';
import {
  folderDigest,
  manifestText,
  parseManifest,
  quarantinePlace,
  totalBytes,
  type ManifestEntry,
} from '../manifest.ts';
import { NO_OWNERSHIP } from '../ownership/store-ownership.ts';
import { corruptArtifact, missingArtifact, storedAs, toStorageError } from '../storage-errors.ts';
import type { StoredFile } from '../stored-files.ts';
import { tarOfFiles } from '../tar/tar-archive.ts';
import type { EntryKind, Temporaries } from '../temporaries.ts';
import type { Bucket } from './bucket.ts';
import { ARTIFACTS, artifactKey, digestOf, filesKey, putAgainKey } from './layout.ts';
import { removeLeftovers } from './leftovers.ts';
import { isMissingObject } from './s3-faults.ts';
import type { Presign } from './presigned-urls.ts';

export interface S3StoreParts {
  readonly bucket: Bucket;
  /** Cache of copies on this machine. */
  readonly cache: LocalCache;
  readonly temporaries: Temporaries;
  /** Creates presigned URLs. If undefined, files are only read through this process. */
  readonly presign?: Presign | undefined;
}

/** Creates a store that keeps artifacts as objects of a bucket: see layout.ts. */
export function createS3Store(parts: S3StoreParts): ArtifactStore {
  const { bucket, cache, temporaries } = parts;
  const fetch = (digest: string): Fetch => {
    let asked: Promise<Found> | undefined;
    const known = () => (asked ??= found(bucket, digest));
    return {
      bytes: async () => (await known()).bytes,
      to: async (path) => fetchTo(bucket, { digest, ...(await known()) }, path),
    };
  };
  const store: ArtifactStore = {
    ownership: NO_OWNERSHIP,
    putFile: (source, kind) => localCall(() => putFile(parts, source, kind)),
    putFolder: (folder, kind) => localCall(() => putFolder(bucket, folder, kind)),
    has: async (digest) => (await bucket.head(artifactKey(digest))) !== undefined,
    bytesOf: (digest) => bytesOf(bucket, digest),
    localPath: (digest, options) => localCall(() => cache.use(digest, fetch(digest), options)),
    holding: (work) =>
      cache.holding((held) =>
        work({
          ...store,
          localPath: (digest, options) => localCall(() => held.use(digest, fetch(digest), options)),
        }),
      ),
    createReadStream: async (digest) => {
      const { bytes } = await found(bucket, digest, 'file');
      return Readable.from(whole(bucket.read(artifactKey(digest)), bytes, digest), { objectMode: false });
    },
    tarArchive: async (digest, options) => tarOfFiles(await filesIn(parts, digest), options?.prefix ?? ''),
    files: (digest) => filesIn(parts, digest),
    verify: (digest) => verify(bucket, digest),
    list: () => list(bucket),
    remove: (digest) => remove(bucket, digest),
    quarantine: (digest) => quarantine(bucket, digest),
    removeLeftovers: (olderThanMs) => removeLeftovers(bucket, new Date(Date.now() - olderThanMs)),
    checkWritable: () => writeProbe(bucket),
    withScratch: (work) => localCall(() => temporaries.folder(work)),
  };
  return store;
}

/**
 * Stores a file. The file is first written to this machine, because its key is its digest, which is known only when all
 * of its bytes have been read.
 */
async function putFile(
  { bucket, temporaries }: S3StoreParts,
  source: AsyncIterable<Uint8Array> | string,
  kind: ArtifactKind,
): Promise<StoredArtifact> {
  return temporaries.at(async (path) => {
    const stream = typeof source === 'string' ? readPlainFile(source) : source;
    const { bytes, sha256 } = await writeHashed(path, stream);
    const digest = `sha256:${sha256}`;
    if (!(await putAgain(bucket, digest, 'file'))) {
      await bucket.putFile(artifactKey(digest), { path, bytes, sha256 }, { entry: 'file' });
    }
    return { digest, kind, bytes };
  });
}

async function putFolder(bucket: Bucket, folder: string, kind: ArtifactKind): Promise<StoredArtifact> {
  const entries = await describeFolder(folder);
  const digest = folderDigest(entries);
  const stored = { digest, kind, bytes: totalBytes(entries) };
  if (await putAgain(bucket, digest, 'folder')) return stored;
  const put = randomUUID();
  const keys = entries.map(({ path }) => `${filesKey(digest, put)}${path}`);
  try {
    for (const [index, entry] of entries.entries()) {
      await bucket.putFile(keys[index]!, { ...entry, path: join(folder, entry.path) });
    }
  } catch (error) {
    // If the files cannot be removed now, the collector removes them later.
    await bucket.remove(keys).catch(() => undefined);
    throw error;
  }
  // The manifest comes last and names the put, so that a folder is there as a whole or not at all. A failed put of the
  // manifest may have arrived all the same, so the files stay. If no manifest names them, the collector removes them.
  const metadata = { entry: 'folder', put, bytes: String(stored.bytes) };
  const isFirst = await bucket.put(artifactKey(digest), Buffer.from(manifestText(entries)), {
    metadata,
    sha256: digest.slice('sha256:'.length),
    ifAbsent: true,
  });
  // The existing manifest may be this one: if the first answer was lost, the SDK has sent it again.
  if (!isFirst && (await bucket.head(artifactKey(digest)))?.metadata.put !== put) await bucket.remove(keys);
  return stored;
}

/**
 * Records that an artifact was stored again, if the store has it already.
 * @returns whether the store has the artifact
 */
async function putAgain(bucket: Bucket, digest: string, kind: EntryKind): Promise<boolean> {
  const head = await bucket.head(artifactKey(digest));
  if (head === undefined) return false;
  if (head.metadata.entry !== kind) throw storedAs(digest, head.metadata.entry ?? 'file', kind);
  await bucket.put(putAgainKey(digest), Buffer.alloc(0));
  return true;
}

interface Found {
  readonly kind: EntryKind;
  readonly bytes: number;
  /** Files of a stored folder, with their keys; empty for an artifact that is a single file. */
  readonly files: readonly (ManifestEntry & { readonly key: string })[];
}

/**
 * Looks up an artifact, and reads the manifest of a folder.
 * @throws AppError `artifact_missing`; `artifact_corrupt` if the manifest does not match the digest; Error if the
 * artifact is not of the expected kind
 */
async function found(bucket: Bucket, digest: string, expected?: EntryKind): Promise<Found> {
  const key = artifactKey(digest);
  const head = await bucket.head(key);
  if (head === undefined) throw missingArtifact(digest);
  const { put, entry } = head.metadata;
  const kind = entry === 'folder' && put !== undefined ? 'folder' : 'file';
  if (expected !== undefined && kind !== expected) throw storedAs(digest, kind, expected);
  if (kind === 'file' || put === undefined) return { kind, bytes: head.bytes, files: [] };
  const manifest = await buffer(present(bucket.read(key), digest));
  const { sha256 } = await hashBytes([manifest]);
  if (`sha256:${sha256}` !== digest) throw corruptArtifact(digest, `sha256:${sha256}`);
  const start = filesKey(digest, put);
  const files = parseManifest(manifest.toString()).map((file) => ({ ...file, key: `${start}${file.path}` }));
  return { kind, bytes: totalBytes(files), files };
}

/** Lists the files of a folder, each of which can be read by itself. */
async function filesIn({ bucket, presign }: S3StoreParts, digest: string): Promise<StoredFile[]> {
  const { files } = await found(bucket, digest, 'folder');
  return files.map(({ key, ...entry }) => ({
    ...entry,
    read: (from, to) => whole(bucket.read(key, from, to), to - from, digest),
    presign: async (as) => (await presign?.(key, as)) ?? null,
  }));
}

/** Writes a copy of an artifact to a path, and checks its digest on the way. */
async function fetchTo(
  bucket: Bucket,
  { digest, kind, files }: Found & { digest: string },
  path: string,
): Promise<void> {
  if (kind === 'file') {
    const { sha256 } = await writeHashed(path, present(bucket.read(artifactKey(digest)), digest));
    if (`sha256:${sha256}` !== digest) throw corruptArtifact(digest, `sha256:${sha256}`);
    return;
  }
  await mkdir(path);
  await checkFiles(digest, files, async (file) => {
    const target = join(path, file.path);
    await mkdir(dirname(target), { recursive: true });
    return writeHashed(target, present(bucket.read(file.key), digest));
  });
}

/** Reads all content and checks its digest. @throws AppError `artifact_missing` or `artifact_corrupt` */
async function verify(bucket: Bucket, digest: string): Promise<void> {
  const { kind, files } = await found(bucket, digest);
  if (kind === 'folder') {
    return checkFiles(digest, files, (file) => hashBytes(present(bucket.read(file.key), digest)));
  }
  const { sha256 } = await hashBytes(present(bucket.read(artifactKey(digest)), digest));
  if (`sha256:${sha256}` !== digest) throw corruptArtifact(digest, `sha256:${sha256}`);
}

/** Compares the files of a folder with its manifest. */
async function checkFiles<T extends ManifestEntry>(
  digest: string,
  files: readonly T[],
  read: (file: T) => Promise<HashedBytes>,
): Promise<void> {
  const described: ManifestEntry[] = [];
  for (const file of files) described.push({ path: file.path, ...(await read(file)) });
  const digestFound = folderDigest(described);
  if (digestFound !== digest) throw corruptArtifact(digest, digestFound);
}

/** Artifact as a listing of the bucket shows it. */
interface Listed {
  digest: string;
  storedAt: Date;
  /** Whether the artifact's own object is there. A removal may leave only the object of {@link putAgainKey}. */
  isThere: boolean;
}

async function* list(bucket: Bucket): AsyncGenerator<{ digest: string; storedAt: Date }> {
  for await (const { digest, storedAt, isThere } of grouped(bucket)) if (isThere) yield { digest, storedAt };
}

async function* grouped(bucket: Bucket): AsyncGenerator<Listed> {
  let last: Listed | undefined;
  for await (const { key, modifiedAt } of bucket.list(ARTIFACTS)) {
    const digest = digestOf(key);
    if (digest === null) continue;
    const isSame: boolean = last?.digest === digest;
    if (last !== undefined && !isSame) yield last;
    if (last !== undefined && isSame) last.storedAt = modifiedAt > last.storedAt ? modifiedAt : last.storedAt;
    else last = { digest, storedAt: modifiedAt, isThere: key === artifactKey(digest) };
  }
  if (last !== undefined) yield last;
}

/**
 * Lists the objects that hold the files of an artifact. An artifact that is a single file has none: its bytes are in
 * the artifact's own object.
 */
async function* filesOf(bucket: Bucket, digest: string, put: string | undefined) {
  if (put !== undefined) yield* bucket.list(filesKey(digest, put));
}

async function bytesOf(bucket: Bucket, digest: string): Promise<number | null> {
  const head = await bucket.head(artifactKey(digest));
  if (head === undefined) return null;
  if (head.metadata.put === undefined) return head.bytes;
  let total = 0;
  for await (const { bytes } of filesOf(bucket, digest, head.metadata.put)) total += bytes;
  return total;
}

/**
 * Removes an artifact. The object that makes the content visible goes first, so that no later reader finds half of it.
 */
async function remove(bucket: Bucket, digest: string): Promise<void> {
  const head = await bucket.head(artifactKey(digest));
  await bucket.remove([artifactKey(digest), putAgainKey(digest)]);
  const keys: string[] = [];
  for await (const { key } of filesOf(bucket, digest, head?.metadata.put)) keys.push(key);
  await bucket.remove(keys);
}

async function quarantine(bucket: Bucket, digest: string): Promise<string> {
  const head = await bucket.head(artifactKey(digest));
  if (head === undefined) throw missingArtifact(digest);
  const place = quarantinePlace(digest);
  for await (const { key } of filesOf(bucket, digest, head.metadata.put)) {
    await bucket.copy(key, `${place}/${key.slice(filesKey(digest, head.metadata.put!).length)}`);
  }
  await bucket.copy(artifactKey(digest), `${place}.${head.metadata.entry === 'folder' ? 'manifest' : 'file'}`);
  await remove(bucket, digest);
  return `${bucket.name}${place}`;
}

async function writeProbe(bucket: Bucket): Promise<void> {
  const key = `probes/${randomUUID()}`;
  await bucket.put(key, Buffer.alloc(1024, 1));
  await bucket.remove([key]);
}

/**
 * Passes on the bytes of an object. An artifact may be removed between its lookup and the read, so the error for a
 * missing object is converted to that of a missing artifact.
 */
async function* present(source: AsyncIterable<Uint8Array>, digest: string): AsyncGenerator<Uint8Array> {
  try {
    yield* source;
  } catch (error) {
    throw isMissingObject(error) ? missingArtifact(digest) : error;
  }
}

/** Passes on the bytes of a file. @throws Error if there are fewer than `bytes` */
async function* whole(source: AsyncIterable<Uint8Array>, bytes: number, digest: string): AsyncGenerator<Uint8Array> {
  let count = 0;
  for await (const chunk of present(source, digest)) {
    count += chunk.byteLength;
    yield chunk;
  }
  if (count < bytes) throw new Error(`a file of artifact ${digest} has ${count} bytes, expected at least ${bytes}`);
}

/** Runs `work`, which writes to the disk of this machine, and converts the errors of a full or read-only disk. */
async function localCall<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toStorageError(error);
  }
}

import { describeFolder, partOfFile } from './durable-files.ts';
import { createKeyedMutex } from '../../lib/keyed-mutex.ts';
import { folderDigest, type ManifestEntry } from './manifest.ts';
import { corruptArtifact } from './storage-errors.ts';
import type { ReadableFile } from './tar/tar-archive.ts';

/** File name and media type that the store sends with a file at its presigned URL. */
export interface ServedAs {
  readonly filename: string;
  readonly mediaType: string;
}

/** Gives a file to whoever knows it, until a time. Keep it out of logs. */
export interface PresignedUrl {
  readonly url: string;
  readonly expiresAt: Date;
}

/** A file of a stored folder. */
export interface StoredFile extends ManifestEntry, ReadableFile {
  /** Makes a URL at which the store itself gives the file; null where it does not. */
  presign(as: ServedAs): Promise<PresignedUrl | null>;
}

/** Options of a listing that depend on its caller. */
export interface ListedFor {
  /** Folders that have to be read as a whole for it are read one after another for each line. */
  readonly line?: string;
  /**
   * No reading is begun once it is aborted. What was begun goes on, so that whoever asks again does not wait for all of
   * it again.
   */
  readonly signal?: AbortSignal;
}

/** Number of folders whose entries are kept in memory, which take one or two KB each. */
const KEPT = 10_000;
const ENTRIES = new Map<string, readonly ManifestEntry[]>();
const inTurn = createKeyedMutex();

/**
 * The files of a folder on this machine. The first time it is read as a whole for their hashes; then the hashes are
 * kept, because stored content never changes, and nobody waits for them.
 *
 * @throws AppError `artifact_corrupt`; the reason of the signal
 */
export async function filesOfFolder(folder: string, digest: string, to: ListedFor = {}): Promise<StoredFile[]> {
  const entries = keptEntries(digest) ?? (await inTurn(to.line ?? '', () => readEntries(folder, digest, to.signal)));
  return entries.map((entry) => ({
    ...entry,
    read: (from, to) => partOfFile(`${folder}/${entry.path}`, from, to),
    presign: () => Promise.resolve(null),
  }));
}

/** The entries if they are kept, which makes them the ones that were asked for last. */
function keptEntries(digest: string): readonly ManifestEntry[] | undefined {
  const entries = ENTRIES.get(digest);
  if (entries !== undefined) keepEntries(digest, entries);
  return entries;
}

function keepEntries(digest: string, entries: readonly ManifestEntry[]): void {
  ENTRIES.delete(digest);
  ENTRIES.set(digest, entries);
  const [oldest] = ENTRIES.keys();
  if (ENTRIES.size > KEPT && oldest !== undefined) ENTRIES.delete(oldest);
}

async function readEntries(folder: string, digest: string, signal?: AbortSignal): Promise<readonly ManifestEntry[]> {
  signal?.throwIfAborted();
  // Whoever was before in the line may have read the same folder.
  const kept = keptEntries(digest);
  if (kept !== undefined) return kept;
  const entries = await describeFolder(folder);
  const found = folderDigest(entries);
  if (found !== digest) throw corruptArtifact(digest, found);
  keepEntries(digest, entries);
  return entries;
}

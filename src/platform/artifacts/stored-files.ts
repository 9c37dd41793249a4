import { describeFolder, partOfFile } from './durable-files.ts';
import { createKeyedMutex } from '../../lib/keyed-mutex.ts';
import { folderDigest, type ManifestEntry } from './manifest.ts';
import { corruptArtifact } from './storage-errors.ts';
import type { ReadableFile } from './tar/tar-archive.ts';

/** File name and media type that the store sends when a file is read by its presigned URL. */
export interface ServedAs {
  readonly filename: string;
  readonly mediaType: string;
}

/** URL by which anyone can read a file until it expires. Keep it out of logs. */
export interface PresignedUrl {
  readonly url: string;
  readonly expiresAt: Date;
}

/** A file of a stored folder. */
export interface StoredFile extends ManifestEntry, ReadableFile {
  /** Creates a URL by which the store itself sends the file to a reader; null if the store has no such URLs. */
  presign(as: ServedAs): Promise<PresignedUrl | null>;
}

/** Options for listing the files of a folder on behalf of one caller. */
export interface ListedFor {
  /**
   * Name of the waiting line that this request joins. Some folders have to be read as a whole before their files can be
   * listed. The folders of one waiting line are read one at a time.
   */
  readonly line?: string;
  /**
   * Signal that ends the wait: once it has aborted, this request starts no reading of a folder. A reading that has
   * started continues, so that a later request does not have to wait for all of it again.
   */
  readonly signal?: AbortSignal;
}

/** Largest number of folders whose lists of files are cached. Each list takes one or two KB. */
const KEPT = 10_000;
const ENTRIES = new Map<string, readonly ManifestEntry[]>();
const inTurn = createKeyedMutex();

/**
 * Lists the files of a folder on this machine. The first call reads the whole folder to compute the hashes. They are
 * cached, because stored content never changes, so later calls do not wait.
 *
 * @throws AppError `artifact_corrupt`; the signal's reason
 */
export async function filesOfFolder(folder: string, digest: string, to: ListedFor = {}): Promise<StoredFile[]> {
  const entries = keptEntries(digest) ?? (await inTurn(to.line ?? '', () => readEntries(folder, digest, to.signal)));
  return entries.map((entry) => ({
    ...entry,
    read: (from, to) => partOfFile(`${folder}/${entry.path}`, from, to),
    presign: () => Promise.resolve(null),
  }));
}

/** Returns the cached list of a folder's files, if there is one, and makes it the most recently used. */
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
  // An earlier caller in the line may have read the same folder.
  const kept = keptEntries(digest);
  if (kept !== undefined) return kept;
  const entries = await describeFolder(folder);
  const found = folderDigest(entries);
  if (found !== digest) throw corruptArtifact(digest, found);
  keepEntries(digest, entries);
  return entries;
}

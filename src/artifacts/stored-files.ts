import { describeFolder, partOfFile } from './durable-files.ts';
import { oneByOne } from '../lib/one-by-one.ts';
import { folderDigest, type ManifestEntry } from './manifest.ts';
import { corruptArtifact } from './storage-errors.ts';
import type { ReadableFile } from './tar/tar-archive.ts';

/** What a presigned URL makes the store say of a file. */
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

/** Number of folders whose entries are kept in memory. */
const KEPT = 1000;
const ENTRIES = new Map<string, readonly ManifestEntry[]>();
const inTurn = oneByOne();

/**
 * The files of a folder on this machine. The first time it is read as a whole for their hashes, one folder after another; then the hashes are kept,
 * because stored content never changes.
 *
 * @throws AppError `artifact_corrupt`
 */
export async function filesOfFolder(folder: string, digest: string): Promise<StoredFile[]> {
  const entries = await inTurn('', () => entriesOf(folder, digest));
  return entries.map((entry) => ({
    ...entry,
    read: (from, to) => partOfFile(`${folder}/${entry.path}`, from, to),
    presign: () => Promise.resolve(null),
  }));
}

async function entriesOf(folder: string, digest: string): Promise<readonly ManifestEntry[]> {
  const entries = ENTRIES.get(digest) ?? (await describeFolder(folder));
  const found = folderDigest(entries);
  if (found !== digest) throw corruptArtifact(digest, found);
  ENTRIES.delete(digest);
  ENTRIES.set(digest, entries);
  const [oldest] = ENTRIES.keys();
  if (ENTRIES.size > KEPT && oldest !== undefined) ENTRIES.delete(oldest);
  return entries;
}

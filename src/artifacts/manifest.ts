import { createHash } from 'node:crypto';

/** A file of a stored folder. */
export interface ManifestEntry {
  /** Path relative to the folder, with `/`. */
  readonly path: string;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

const HEADING = 'readapt folder 1\n';

/**
 * The digest of a folder: SHA-256 of a heading and of one line `["path",bytes,"sha256"]` per file, sorted by the UTF-16
 * code units of the paths. It depends only on names and contents, not on times, modes or the order in which files are
 * read.
 */
export function folderDigest(entries: readonly ManifestEntry[]): string {
  const sorted = [...entries].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  const hash = createHash('sha256').update(HEADING);
  for (const entry of sorted) hash.update(`${JSON.stringify([entry.path, entry.bytes, entry.sha256])}\n`);
  return `sha256:${hash.digest('hex')}`;
}

export function totalBytes(entries: readonly ManifestEntry[]): number {
  return entries.reduce((sum, entry) => sum + entry.bytes, 0);
}

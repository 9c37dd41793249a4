import { createHash } from 'node:crypto';

/** One file of a stored folder. */
export interface ManifestEntry {
  /** Relative to the folder, separated by `/`. */
  readonly path: string;
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
}

const HEADING = 'readapt folder 1\n';

/**
 * The digest of a folder: SHA-256 of a heading and one line `["path",bytes,"sha256"]` a file, in the order of the
 * paths' UTF-16 code units. It depends on names and content alone, not on times, modes or the order of reading.
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

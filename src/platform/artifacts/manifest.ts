import { createHash } from 'node:crypto';

/** Entry of a manifest: one file of a stored folder. */
export interface ManifestEntry {
  /** Path relative to the folder, with `/`. */
  readonly path: string;
  readonly bytes: number;
  /** SHA-256 of the content, hexadecimal. */
  readonly sha256: string;
}

const HEADING = 'readapt folder 1\n';

/**
 * Digest of a folder: the SHA-256 of its manifest. It depends only on names and contents, not on times, modes or the
 * order in which files are read.
 */
export function folderDigest(entries: readonly ManifestEntry[]): string {
  return `sha256:${createHash('sha256').update(manifestText(entries)).digest('hex')}`;
}

/**
 * Text of a manifest: a heading and one line `["path",bytes,"sha256"]` per file, sorted by the UTF-16 code units of the
 * paths.
 */
export function manifestText(entries: readonly ManifestEntry[]): string {
  const sorted = [...entries].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  return HEADING + sorted.map(({ path, bytes, sha256 }) => `${JSON.stringify([path, bytes, sha256])}\n`).join('');
}

/** Parses a text that {@link manifestText} has written. The caller has checked the digest of the text. */
export function parseManifest(text: string): ManifestEntry[] {
  const lines = text.slice(HEADING.length).split('\n').slice(0, -1);
  return lines.map((line) => {
    const [path, bytes, sha256] = JSON.parse(line) as [string, number, string];
    return { path, bytes, sha256 };
  });
}

export function totalBytes(entries: readonly ManifestEntry[]): number {
  return entries.reduce((sum, entry) => sum + entry.bytes, 0);
}

const DIGEST = /^sha256:([0-9a-f]{2})([0-9a-f]{62})$/;

export const isDigest = (text: string): boolean => DIGEST.test(text);

/**
 * Makes the key or relative path of an artifact within a store: `sha256/ab/cdef…`.
 * @throws Error if the text is no digest
 */
export function placeOf(digest: string): string {
  const parts = DIGEST.exec(digest);
  if (parts === null) throw new Error(`"${digest}" is not an artifact digest, expected sha256:<64 hex digits>`);
  return `sha256/${parts[1]!}/${parts[2]!}`;
}

/** Makes the key or relative path in the quarantine for an artifact that is taken out of use at the time `at`. */
export function quarantinePlace(digest: string, at = new Date()): string {
  return `quarantine/${placeOf(digest)}.${at.toISOString().replaceAll(/[:.]/g, '-')}`;
}

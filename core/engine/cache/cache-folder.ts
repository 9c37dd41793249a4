import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';

/** Limits on the number and size of a cache folder's files. */
export interface FolderLimits {
  /** Ending of the names of the cache's files. Files with other names are never removed. */
  readonly extension: string;
  readonly maxEntries: number;
  /** Largest total size of the cache's files, in bytes. */
  readonly maxBytes: number;
}

/** Age at which a temporary file counts as abandoned. No process takes this long between two writes to a file. */
const STALE_MS = 3_600_000;

/** Removes the least recently used files beyond the limits, and abandoned temporary files (`<name>.tmp-…`). */
export async function pruneCacheFolder(
  folder: string,
  { extension, maxEntries, maxBytes }: FolderLimits,
): Promise<void> {
  const found = await Promise.all((await readdir(folder)).map((name) => describe(folder, name)));
  const files = found.filter((file) => file !== null).sort((a, b) => b.usedAt - a.usedAt);
  const stale = files.filter(
    ({ name, usedAt }) => name.includes(`${extension}.tmp-`) && Date.now() - usedAt > STALE_MS,
  );
  let bytes = 0;
  const beyond = files
    .filter(({ name }) => name.endsWith(extension))
    .filter(({ size }, index) => (bytes += size) > maxBytes || index >= maxEntries);
  for (const { name } of [...stale, ...beyond]) await rm(path.join(folder, name), { force: true });
}

/** Describes a file by name, size and last use. Returns null if another process has removed the file. */
async function describe(folder: string, name: string) {
  const stats = await stat(path.join(folder, name)).catch(() => null);
  return stats && { name, size: stats.size, usedAt: stats.mtimeMs };
}

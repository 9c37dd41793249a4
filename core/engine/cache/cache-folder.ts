import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';

/** What a folder of a cache may hold. */
export interface FolderBounds {
  /** Ends the names of the cache's files. Others are left alone. */
  readonly extension: string;
  readonly maxEntries: number;
  /** Size of all files together. */
  readonly maxBytes: number;
}

/** No process takes this long between two writes to a file, so an older temporary one was left by a process that died. */
const STALE_MS = 3_600_000;

/** Removes the files used longest ago that exceed the bounds, and temporary files (`<name>.tmp-…`) that were left behind. */
export async function tidyCacheFolder(
  folder: string,
  { extension, maxEntries, maxBytes }: FolderBounds,
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

/** Returns null where another process has removed the file meanwhile. */
async function describe(folder: string, name: string) {
  const stats = await stat(path.join(folder, name)).catch(() => null);
  return stats && { name, size: stats.size, usedAt: stats.mtimeMs };
}

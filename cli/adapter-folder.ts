import { readdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { UsageError } from './errors.ts';

/**
 * Refuses an output folder that would cost somebody else's files: only a new, an empty or an adapter's folder is
 * written. Said before the work and not after it.
 */
export async function requireWritableAdapterFolder(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    if (error.code === 'ENOTDIR') throw new UsageError(`--out ${folder} is a file, expected a folder`);
    throw error;
  });
  if (names === null) {
    const parent = await stat(dirname(folder)).catch(() => null);
    if (parent && !parent.isDirectory()) throw new UsageError(`--out ${folder} lies in a file, expected a folder`);
    return;
  }
  if (names.length > 0 && !names.includes('adapter_config.json')) {
    throw new UsageError(`--out ${folder} holds other files than an adapter's, expected a new or an adapter's folder`);
  }
}

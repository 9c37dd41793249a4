import { access, constants, readdir, realpath, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { UsageError } from './errors.ts';

/**
 * Refuses an output folder that cannot be written, or would cost somebody else's files: only a new, an empty or an
 * adapter's folder is written. Said before the work and not after it.
 * @param input an adapter that is read, and is to be there afterwards whatever comes out
 */
export async function requireWritableAdapterFolder(folder: string, input?: string): Promise<void> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    if (error.code === 'ENOTDIR') throw new UsageError(`--out ${folder} is a file, expected a folder`);
    throw error;
  });
  if (names !== null && names.length > 0 && !names.includes('adapter_config.json')) {
    throw new UsageError(`--out ${folder} holds other files than an adapter's, expected a new or an adapter's folder`);
  }
  if (input !== undefined && names !== null && (await realpath(folder)) === (await realpath(input).catch(() => null))) {
    throw new UsageError(`--out ${folder} is the adapter that is carried over, expected another folder`);
  }
  await requireWritableParent(folder);
}

/** A folder is written under another name beside its own and then renamed. */
async function requireWritableParent(folder: string): Promise<void> {
  let parent = dirname(resolve(folder));
  let found = await stat(parent).catch(() => null);
  while (found === null && parent !== dirname(parent)) {
    parent = dirname(parent);
    found = await stat(parent).catch(() => null);
  }
  if (!found?.isDirectory()) throw new UsageError(`--out ${folder} lies in a file, expected a folder`);
  await access(parent, constants.W_OK | constants.X_OK).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`--out ${folder} cannot be written: ${parent} is not writable (${error.code})`);
  });
}

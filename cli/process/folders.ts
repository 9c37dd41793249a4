import { access, constants, copyFile, mkdtemp, readdir, realpath, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { writeFileAtomic, writeFolderAtomic } from '../../core/formats/atomic-file.ts';
import { isBadPath, UsageError } from './errors.ts';

/**
 * Creates a folder for temporary files, whose name begins with `prefix`.
 * @throws UsageError if TMPDIR cannot be used
 */
export async function createTemporaryFolder(prefix: string): Promise<string> {
  return mkdtemp(join(tmpdir(), prefix)).catch((error: NodeJS.ErrnoException) => {
    if (!isBadPath(error)) throw error;
    throw new UsageError(
      `TMPDIR is ${tmpdir()}, where no folder can be created (${error.code}): set it to a folder that this user ` +
        'may write',
    );
  });
}

/** Calls `use` with a temporary folder, and removes the folder in any case. */
export async function withTemporaryFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await createTemporaryFolder('readapt-');
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Copies the files of a folder that has no sub-folders. The copy appears as a whole, or replaces an existing folder as
 * a whole.
 */
export async function copyFolder(from: string, to: string): Promise<void> {
  const build = async (folder: string): Promise<void> => {
    for (const name of await readdir(from)) await copyFile(join(from, name), join(folder, name));
  };
  await writeFolderAtomic(resolve(to), build, { replace: true });
}

/**
 * Refuses an output folder before the work begins, if it cannot be written or holds anything but an adapter.
 * @param input the adapter that is read and must not be replaced
 * @throws UsageError
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

/**
 * Checks that the parent of an output folder can be written, because the folder is first written beside its final name
 * and then renamed.
 */
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

/** Writes a text atomically into a file that only the current user may read. */
export async function writePrivateFile(file: string, text: string): Promise<void> {
  await writeFileAtomic(file, async (handle) => {
    await handle.chmod(0o600);
    await handle.writeFile(text);
  });
}

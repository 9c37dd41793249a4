import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ADAPTER_OUTCOMES } from '../../../core/formats/peft/adapter-outcomes.ts';
import { readTar, writeHashed, type TarEntry } from '../../platform/artifacts/index.ts';
import { unprocessable, type AppError } from '../../platform/contract/errors.ts';
import {
  ADAPTER_FILE_LIMITS,
  ADAPTER_FILES,
  checkAdapterFileSize,
  isAdapterFile,
  ADAPTER_PICKLE_ADVICE,
  PICKLED_WEIGHTS,
  requireFiles,
  type AdapterFile,
} from './adapter-files.ts';

/** Names by which the tar reader calls entries that are plain files, in the newer and in the older tar format. */
const FILE_TYPES = new Set(['File', 'OldFile']);
const MAX_ENTRIES = 16;

/**
 * Largest size, in bytes, that the file {@link ADAPTER_OUTCOMES} may have in an archive. The file is allowed there, but
 * its contents are never read.
 */
const OUTCOMES_LIMIT_BYTES = 64 << 20;

/**
 * Largest size of an adapter's archive, in bytes: the sum of the size limits of its files, with room for the headers
 * and padding of the tar format.
 */
export const ARCHIVE_LIMIT_BYTES = Object.values(ADAPTER_FILE_LIMITS).reduce(
  (sum, bytes) => sum + bytes,
  OUTCOMES_LIMIT_BYTES + (8 << 20),
);

/**
 * Unpacks the uncompressed tar archive of an adapter into a new folder. The archive may hold only the files of an
 * adapter, each at most once, all at the top or all in one folder. Links, devices and any other entries are refused. A
 * file of gate outcomes in the archive is skipped: the gate compares later versions with these outcomes, so a tenant
 * who forges poor ones would get a gate that everything passes.
 *
 * @throws AppError 422 `invalid_archive` that names the refused entry, 422 `invalid_adapter` if a file is missing, 413
 *   `adapter_too_large`
 */
export async function unpackAdapter(
  chunks: AsyncIterable<Uint8Array>,
  folder: string,
  limits = ADAPTER_FILE_LIMITS,
): Promise<void> {
  await mkdir(folder);
  const entries = createEntryCheck(limits);
  for await (const entry of readTar(chunks)) {
    const name = entries.check(entry);
    if (name !== null) await writeHashed(join(folder, name), entry.bytes);
  }
  requireFiles(entries.seen);
}

/**
 * Creates the function that checks an archive's entries one by one. The function remembers the earlier entries, so that
 * it finds files that occur twice.
 */
function createEntryCheck(limits: typeof ADAPTER_FILE_LIMITS) {
  const seen = new Set<AdapterFile>();
  let top: string | undefined;
  let count = 0;

  function checkTop(path: string, folder: string): void {
    if (folder === '' && path.startsWith('/')) throw refused(path, 'is an absolute path');
    if (folder === '..' || (top !== undefined && top !== folder)) {
      throw refused(path, 'is in another folder, expected all files in one folder');
    }
    top = folder;
  }

  /**
   * Checks an archive entry. Returns the name of the adapter file that the entry holds; null if the entry is the folder
   * around the files, or a file to skip.
   */
  function check(entry: TarEntry): AdapterFile | null {
    const { path, type } = entry;
    if (++count > MAX_ENTRIES) throw refused(path, `exceeds the limit of ${MAX_ENTRIES} entries`);
    const parts = path.replace(/^(\.\/)+/, '').split('/');
    const name = parts.pop()!;
    if (type === 'Directory') {
      if (name === '' && parts.length === 0) return null;
      if (name !== '' || parts.length > 1) throw refused(path, 'is a folder within the folder of the files');
      checkTop(path, parts[0]!);
      return null;
    }
    if (!FILE_TYPES.has(type)) throw refused(path, `is of type ${type}, expected a plain file`);
    if (parts.length < 2 && name === PICKLED_WEIGHTS) throw refused(path, ADAPTER_PICKLE_ADVICE);
    if (parts.length < 2 && name === ADAPTER_OUTCOMES) {
      checkTop(path, parts[0] ?? '');
      checkAdapterFileSize(name, entry.size, OUTCOMES_LIMIT_BYTES);
      return null;
    }
    if (parts.length > 1 || !isAdapterFile(name))
      throw refused(path, `is not a file of an adapter, expected ${ADAPTER_FILES.join(', ')}`);
    checkTop(path, parts[0] ?? '');
    if (seen.has(name)) throw refused(path, 'occurs twice');
    checkAdapterFileSize(name, entry.size, limits[name]);
    seen.add(name);
    return name;
  }
  return { check, seen };
}

function refused(path: string, reason: string): AppError {
  return unprocessable('invalid_archive', `archive entry ${JSON.stringify(path.slice(0, 200))} ${reason}`, {
    entry: path.slice(0, 200),
  });
}

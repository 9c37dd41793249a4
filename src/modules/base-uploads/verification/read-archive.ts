import { readTar, type TarEntry } from '../../../artifacts/index.ts';
import { isTaken, PICKLE, type UploadedFile } from '../../../base-sources/index.ts';
import { unprocessable, type AppError } from '../../../lib/errors.ts';
import { PICKLE_ADVICE } from '../file-names.ts';

/** Headers of an archive of the largest model, with those of long names and of folders. */
const MAX_HEADERS = 10_000;
/** The types of plain files in old and new archives. */
const FILE_TYPES = new Set(['File', 'OldFile']);

/** Reads an entry. @returns its SHA-256, hexadecimal */
type ReadEntry = (name: string, size: number, bytes: AsyncIterable<Uint8Array>) => Promise<string>;

type FoundEntry = UploadedFile & { readonly folder: readonly string[] };

/**
 * Finds the files of a model in a tar archive, where they are in one folder or at the top. What is in folders of that, and other files
 * such as a README.md, is left out, as it is when a model is fetched from a hub.
 *
 * @param archive its name, for messages
 * @throws AppError 422 `invalid_archive` that names the entry: a pickle, a link, a device, a path that leads out of the archive, or a file
 *   that is there twice
 */
export async function readArchive(
  archive: string,
  chunks: AsyncIterable<Uint8Array>,
  read: ReadEntry,
): Promise<UploadedFile[]> {
  const found: FoundEntry[] = [];
  for await (const entry of readTar(chunks, { maxHeaders: MAX_HEADERS })) {
    const place = checkEntry(archive, entry);
    if (place === null) continue;
    const { size, offset } = entry;
    found.push({ ...place, size, offset, sha256: await read(place.name, size, entry.bytes) });
  }
  return inOneFolder(archive, found);
}

/** Where an entry is; null for one that is left out. */
function checkEntry(archive: string, { path, type }: TarEntry): Pick<FoundEntry, 'name' | 'folder'> | null {
  const folder = path.split('/').filter((part) => part !== '.');
  if (folder[0] === '' && folder.length > 1) throw refused(archive, path, 'is an absolute path');
  if (folder.includes('..')) throw refused(archive, path, 'leads out of the archive');
  if (type === 'Directory') return null;
  if (!FILE_TYPES.has(type)) throw refused(archive, path, `is of type ${type}, expected a plain file`);
  const name = folder.pop() ?? '';
  if (PICKLE.test(name)) throw refused(archive, path, PICKLE_ADVICE);
  return isTaken(name) ? { name, folder } : null;
}

/** The files of the first folder that has any. */
function inOneFolder(archive: string, found: readonly FoundEntry[]): UploadedFile[] {
  const depth = Math.min(...found.map(({ folder }) => folder.length));
  const first = found.filter(({ folder }) => folder.length === depth);
  const top = first[0]?.folder.join('/');
  const seen = new Set<string>();
  return first.map(({ folder, ...file }) => {
    const path = [...folder, file.name].join('/');
    if (folder.join('/') !== top)
      throw refused(archive, path, 'is in another folder, expected all files in one folder');
    if (seen.has(file.name)) throw refused(archive, path, 'occurs twice');
    seen.add(file.name);
    return file;
  });
}

function refused(archive: string, path: string, reason: string): AppError {
  const entry = path.slice(0, 200);
  return unprocessable('invalid_archive', `entry ${JSON.stringify(entry)} of ${archive} ${reason}`, { entry });
}

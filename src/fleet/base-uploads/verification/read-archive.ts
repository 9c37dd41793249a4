import { readTar, type TarEntry } from '../../../platform/artifacts/index.ts';
import { isTaken, MAX_FILES, PICKLE, UNUSABLE, type UploadedFile } from '../../../platform/base-sources/index.ts';
import { unprocessable, type AppError } from '../../../platform/contract/errors.ts';

/** Limit on entries of an archive; enough for the largest model, including the headers of long names and folders. */
const MAX_HEADERS = 10_000;
/** Entry types of plain files in old and new archives. */
const FILE_TYPES = new Set(['File', 'OldFile']);

/** Function that reads an entry. @returns its SHA-256, hexadecimal */
type ReadEntry = (name: string, size: number, bytes: AsyncIterable<Uint8Array>) => Promise<string>;

type FoundEntry = UploadedFile & { readonly folder: readonly string[] };

/**
 * Finds the files of a model in a tar archive, in one folder or at the top. Skips subfolders and other files such as a
 * README.md, as a fetch from a hub does. Reports pickles too, although nobody fetches them: a model that has its
 * weights only as pickles can then be refused by their name.
 *
 * @param archive its name, for messages
 * @param most the largest number of files, in all folders together
 * @throws AppError 422 `invalid_archive` that names the entry: a link, a device, a path that leads out of the archive,
 * or a repeated file; `source_refused` if there are more files
 */
export async function readArchive(
  { archive, most }: { archive: string; most: number },
  chunks: AsyncIterable<Uint8Array>,
  read: ReadEntry,
): Promise<UploadedFile[]> {
  const found: FoundEntry[] = [];
  for await (const entry of readTar(chunks, { maxHeaders: MAX_HEADERS })) {
    const place = checkEntry(archive, entry);
    if (place === null) continue;
    if (found.length === most) throw tooMany(archive);
    const { size, offset } = entry;
    found.push({ ...place, size, offset, sha256: await read(place.name, size, entry.bytes) });
  }
  return withoutFolders(archive, found);
}

/** Folder and name of an entry; null for an entry to skip. */
function checkEntry(archive: string, { path, type }: TarEntry): Pick<FoundEntry, 'name' | 'folder'> | null {
  const folder = path.split('/').filter((part) => part !== '.');
  if (folder[0] === '' && folder.length > 1) throw refused(archive, path, 'is an absolute path');
  if (folder.includes('..')) throw refused(archive, path, 'leads out of the archive');
  if (type === 'Directory') return null;
  if (!FILE_TYPES.has(type)) throw refused(archive, path, `is of type ${type}, expected a plain file`);
  const name = folder.pop() ?? '';
  if (!isTaken(name) && !PICKLE.test(name)) return null;
  if (UNUSABLE.test(name)) throw refused(archive, path, 'has a name that is too long or has control characters');
  return { name, folder };
}

/** Files of the uppermost folder that has any, and pickles at the same depth or above. */
function withoutFolders(archive: string, found: readonly FoundEntry[]): UploadedFile[] {
  const files = found.filter(({ name }) => isTaken(name));
  const depth = Math.min(...(files.length > 0 ? files : found).map(({ folder }) => folder.length));
  const first = found.filter(({ folder }) => folder.length <= depth);
  checkFolder(
    archive,
    first.filter(({ name }) => isTaken(name)),
  );
  return first.map(({ name, size, offset, sha256 }) => ({ name, size, offset, sha256 }));
}

function checkFolder(archive: string, files: readonly FoundEntry[]): void {
  const top = files[0]?.folder.join('/');
  const seen = new Set<string>();
  for (const { folder, name } of files) {
    const path = [...folder, name].join('/');
    if (folder.join('/') !== top) {
      throw refused(archive, path, 'is in another folder, expected all files in one folder');
    }
    if (seen.has(name)) throw refused(archive, path, 'occurs twice');
    seen.add(name);
  }
}

function tooMany(archive: string): AppError {
  const message =
    `the files of a model in ${archive}, with those before it, are more than ${MAX_FILES}, also counted in inner ` +
    'folders';
  return unprocessable('source_refused', message);
}

function refused(archive: string, path: string, reason: string): AppError {
  const entry = path.slice(0, 200);
  return unprocessable('invalid_archive', `entry ${JSON.stringify(entry)} of ${archive} ${reason}`, { entry });
}

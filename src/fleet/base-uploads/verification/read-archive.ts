import { readTar, type TarEntry } from '../../../platform/artifacts/index.ts';
import { isTaken, MAX_FILES, PICKLE, UNUSABLE, type UploadedFile } from '../../../platform/base-sources/index.ts';
import { unprocessable, type AppError } from '../../../platform/contract/errors.ts';

/**
 * Largest number of headers in a tar archive. It is enough for the largest model, whose archive also has headers for
 * folders and long names.
 */
const MAX_HEADERS = 10_000;
/** Names by which the tar reader calls entries that are plain files, in the newer and in the older tar format. */
const FILE_TYPES = new Set(['File', 'OldFile']);

/** Function that reads the bytes of one archive entry. @returns their SHA-256, hexadecimal */
type ReadEntry = (name: string, size: number, bytes: AsyncIterable<Uint8Array>) => Promise<string>;

type FoundEntry = UploadedFile & { readonly folder: readonly string[] };

/**
 * Finds the files of a model in a tar archive, where they lie at the top or all in one folder. Skips files in deeper
 * folders and, like a fetch from a hub, files that no model needs, such as README.md. Pickles are reported, although
 * nothing reads them, so that a model whose weights are only pickles can be refused by the names of the pickles.
 *
 * @param archive name of the archive, for error messages
 * @param most the largest number of model files, in all folders of the archive together
 * @throws AppError 422 `invalid_archive` that names the entry: a link, a device, a path that leads out of the archive,
 *   or a repeated file; 422 `source_refused` if there are more than `most` files
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

/**
 * Checks an archive entry. Returns the folder and the name of the model file that it holds; null for an entry to skip.
 */
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

/** Picks the model files in the uppermost folder that has model files, and the pickles that lie no deeper. */
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

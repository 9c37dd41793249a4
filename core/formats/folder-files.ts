import { readFile, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { FormatError } from './errors.ts';
import { quote } from '../options/quote.ts';
import { JsonLimitError, parseStrictJson, type JsonLimits } from './json.ts';

/** Limits on the size and structure of a JSON file. */
export interface JsonFileLimits extends Partial<JsonLimits> {
  readonly bytes: number;
}

/**
 * Limits of a base model's JSON files, which also apply by default. The largest of these files is the tokenizer's: 33
 * MB with a vocabulary of 262,144.
 */
const BASE_MODEL_JSON: JsonFileLimits = { bytes: 64 << 20 };

/**
 * Finds a file of a model or adapter folder, and refuses anything that could lead outside: a name that is not a plain
 * file name, and a symbolic link that leaves the folder. The file is not opened.
 * @param namedBy file that an error blames if `name` is not a plain file name; default: the file itself
 * @returns the real path, or null if there is no such file
 * @throws FormatError `unsafe_path`, or `missing_file` if the folder does not exist or the name is not a regular file
 */
export async function resolveInFolder(folder: string, name: string, namedBy: string = name): Promise<string | null> {
  if (!isPlainFileName(name)) {
    const message = `file name ${quote(name)} leaves the model folder, expected the plain name of a file in it`;
    throw new FormatError({ code: 'unsafe_path', file: namedBy, subject: name, message });
  }
  const root = await realFolder(folder);
  const path = await realpath(join(root, name)).catch(nullIfMissing);
  if (path === null) return null;
  const bounds = hubCacheFolder(root) ?? root;
  if (!path.startsWith(bounds.endsWith(sep) ? bounds : bounds + sep)) {
    const message =
      bounds === root
        ? 'is a symbolic link that leaves the folder, expected a file in it'
        : `is a symbolic link that leaves the folder of its model in the cache of Hugging Face, ${bounds}`;
    throw new FormatError({ code: 'unsafe_path', file: name, message });
  }
  if ((await stat(path)).isFile()) return path;
  throw new FormatError({ code: 'missing_file', file: name, message: 'is not a regular file' });
}

/**
 * Returns the folder of a model in a Hugging Face cache, if `root` is one of its snapshots
 * (`models--org--name/snapshots/<commit>`): the files of a snapshot are links to the `blobs` beside it. Null for any
 * other folder.
 */
function hubCacheFolder(root: string): string | null {
  const snapshots = dirname(root);
  const model = dirname(snapshots);
  const isSnapshot = /^[0-9a-f]{40}$/.test(basename(root)) && basename(snapshots) === 'snapshots';
  return isSnapshot && /^models--.+/.test(basename(model)) ? model : null;
}

/**
 * Finds a file as {@link resolveInFolder} does, and throws if it does not exist.
 * @throws FormatError `missing_file` if it does not exist
 */
export async function requireInFolder(folder: string, name: string, namedBy?: string): Promise<string> {
  const path = await resolveInFolder(folder, name, namedBy);
  if (path !== null) return path;
  throw new FormatError({ code: 'missing_file', file: name, message: `file is missing from ${folder}` });
}

/**
 * Parses a JSON file of the folder.
 * @param limits default: the limits of a base model's files
 * @throws FormatError `missing_file`, `unsafe_path` or `invalid_json`
 */
export async function readJsonInFolder(
  folder: string,
  name: string,
  limits: JsonFileLimits = BASE_MODEL_JSON,
): Promise<unknown> {
  const path = await requireInFolder(folder, name);
  const { size } = await stat(path);
  if (size > limits.bytes) {
    const message = `has ${size} bytes, expected at most ${limits.bytes}`;
    throw new FormatError({ code: 'invalid_json', file: name, message });
  }
  try {
    return parseStrictJson(new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path)), limits);
  } catch (cause) {
    const { message: reason } = cause as Error;
    const message = cause instanceof JsonLimitError ? reason : `is not valid JSON: ${reason}`;
    throw new FormatError({ code: 'invalid_json', file: name, message, cause });
  }
}

async function realFolder(folder: string): Promise<string> {
  const root = await realpath(folder).catch(nullIfMissing);
  if (root !== null && (await stat(root)).isDirectory()) return root;
  const message = root === null ? 'folder does not exist' : 'is not a folder';
  throw new FormatError({ code: 'missing_file', file: folder, message });
}

function isPlainFileName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\\\0]/.test(name);
}

function nullIfMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
  throw error;
}

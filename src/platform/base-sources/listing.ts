import { createHash } from 'node:crypto';
import { SourceError } from './source-error.ts';
import { sourceText, type PinnedFiles, type RemoteSource, type SourceFile } from './source.ts';

/**
 * Pattern of the files that Readapt reads, or that serving engines need beside the weights. Nothing else is fetched.
 */
const TAKEN =
  /^[^/\\]+\.(safetensors|json|jinja)$|^(merges|vocab)\.txt$|^(tokenizer|spiece|sentencepiece(\.bpe)?)\.model$/;

/** Pattern of pickle files, which can run code when they are loaded. */
export const PICKLE = /\.(bin|pt|pth|ckpt|pkl|pickle)$/i;

/**
 * Pattern of file names that cannot be used, because they have control characters, which logs and the database should
 * not contain, or more than 200 characters, which leave no room for the suffix of a partial file.
 */
export const UNUSABLE = /[\u0000-\u001f\u007f]|[^]{201}/;

/** Pattern of names of uploaded files: no folder, and nothing that a URL has to encode. */
export const SENT_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.+@=-]{0,199}$/;

/** Largest number of files of a base model version. A model of 2 TB in shards of 5 GB has 400. */
export const MAX_FILES = 2000;

/** Largest size of a file other than weights, in bytes; the largest tokenizers have 40 MB. */
const MAX_OTHER_BYTES = 64 << 20;

/** Rules for which files to take from a source, and how many entries its top folder may have. */
export interface ListingRules {
  /** Largest number of files and folders in the top folder of a source. A longer listing is not read to its end. */
  readonly maxEntries: number;
  /**
   * Checks the files of a source, and returns those to take, sorted by name.
   * @param names all names that the source has
   * @throws SourceError `source_refused`
   */
  check(source: RemoteSource, files: readonly SourceFile[], names: readonly string[]): SourceFile[];
}

/**
 * Rules for the files of base models. No real model has so many entries in its top folder; the limit protects the
 * service.
 */
export const BASE_LISTING: ListingRules = { maxEntries: 20_000, check: checkListing };

/** Whether a file of a source is fetched. Files in subfolders, such as `onnx/` or `original/`, are not. */
export function isTaken(name: string): boolean {
  return TAKEN.test(name) && !name.startsWith('.');
}

/**
 * Checks the files of a base model, and returns those to take, sorted by name.
 * @throws SourceError `source_refused` that names what is missing, or the pickles that are there instead
 */
export function checkListing(
  source: RemoteSource,
  files: readonly SourceFile[],
  names: readonly string[],
): SourceFile[] {
  const where = sourceText(source);
  const taken = files.filter(({ name }) => isTaken(name)).sort((a, b) => (a.name < b.name ? -1 : 1));
  if (!taken.some(({ name }) => name.endsWith('.safetensors'))) throw noWeights(where, names);
  if (!taken.some(({ name }) => name === 'config.json')) {
    throw new SourceError('source_refused', `${where} has no config.json, expected the files of a Hugging Face model`);
  }
  if (taken.length > MAX_FILES) {
    const message = `${where} has ${taken.length} files of a model, expected at most ${MAX_FILES}`;
    throw new SourceError('source_refused', message);
  }
  requireUsable(source, taken);
  const large = taken.find(({ name, size }) => !name.endsWith('.safetensors') && size > MAX_OTHER_BYTES);
  if (large !== undefined) {
    const message = `${large.name} of ${where} has ${large.size} bytes, expected at most ${MAX_OTHER_BYTES}`;
    throw new SourceError('source_refused', message);
  }
  return taken;
}

/**
 * Requires names and sizes of files that can be used.
 * @throws SourceError `source_refused` if a name cannot be used on every file system, or a size is not a number of
 * bytes
 */
export function requireUsable(source: RemoteSource, files: readonly SourceFile[]): void {
  const wrong = files.find(({ name, size }) => UNUSABLE.test(name) || !Number.isSafeInteger(size) || size < 0);
  if (wrong === undefined) return;
  const { name, size } = wrong;
  const message =
    `${sourceText(source)} lists a file ${JSON.stringify(name.slice(0, 200))} of ${JSON.stringify(size)} bytes, ` +
    'expected a size, and a name of at most 200 characters without control characters';
  throw new SourceError('source_refused', message);
}

/**
 * Requires that the top folder of a source is not too large.
 * @throws SourceError `source_refused` if it has more entries than the rules allow
 */
export function requireFew(source: RemoteSource, entries: number, { maxEntries }: ListingRules): void {
  if (entries <= maxEntries) return;
  const message = `${sourceText(source)} has more than ${maxEntries} files and folders in its first folder`;
  throw new SourceError('source_refused', message);
}

function noWeights(where: string, names: readonly string[]): SourceError {
  const pickle = names.find((name) => PICKLE.test(name));
  const message =
    pickle === undefined
      ? `${where} has no *.safetensors file, expected weights in one file or in shards`
      : `${where} has its weights as ${pickle}, a pickle, which can run code and is never fetched: convert it to ` +
        'safetensors (`save_pretrained(folder, safe_serialization=True)` of transformers does) and register that';
  return new SourceError('source_refused', message);
}

/**
 * Makes the name of the folder in a worker's cache for these files. The same files of the same source have the same
 * name on every worker.
 */
export function pinnedFilesKey({ source, files }: PinnedFiles): string {
  const named = files.map(({ name, size, sha256, gitSha1, etag }) => [name, size, sha256, gitSha1, etag]);
  return createHash('sha256')
    .update(JSON.stringify([sourceText(source), named]))
    .digest('hex')
    .slice(0, 40);
}

export function bytesOf(files: readonly SourceFile[]): number {
  return files.reduce((sum, { size }) => sum + size, 0);
}

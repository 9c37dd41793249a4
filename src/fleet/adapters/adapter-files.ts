import { lstat, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readPlainFile, writeHashed } from '../../platform/artifacts/index.ts';
import { AppError, unprocessable } from '../../platform/contract/errors.ts';

/** Files that an adapter folder may hold, with the size limit of each in bytes. The service stores no other files. */
export interface AdapterFileLimits {
  readonly 'adapter_config.json': number;
  readonly 'adapter_model.safetensors': number;
  readonly 'README.md': number;
  readonly 'readapt.json': number;
}
export type AdapterFile = keyof AdapterFileLimits;

export const ADAPTER_FILE_LIMITS: AdapterFileLimits = {
  'adapter_config.json': 1 << 20,
  'adapter_model.safetensors': 2 * 2 ** 30,
  'README.md': 1 << 20,
  'readapt.json': 1 << 20,
};
export const ADAPTER_FILES = Object.keys(ADAPTER_FILE_LIMITS) as AdapterFile[];
const REQUIRED: readonly AdapterFile[] = ['adapter_config.json', 'adapter_model.safetensors'];

/**
 * Name of the pickle file to which early versions of PEFT write an adapter's weights. The service refuses this file.
 */
export const PICKLED_WEIGHTS = 'adapter_model.bin';
export const ADAPTER_PICKLE_ADVICE =
  'is a pickle, which can run code and is therefore never read: if you trust its source, load it with PEFT and save ' +
  'it as adapter_model.safetensors with save_pretrained(folder, safe_serialization=True)';

export function isAdapterFile(name: string): name is AdapterFile {
  return Object.hasOwn(ADAPTER_FILE_LIMITS, name);
}

/**
 * Copies the files of an adapter, and no others, from one folder to a new one. Links are not followed.
 *
 * @throws AppError 422 `invalid_adapter` if a file is missing or the weights are only there as a pickle, 422
 *   `not_a_plain_file` for a link or a device, 413 `adapter_too_large`
 */
export async function copyAdapterFiles(from: string, to: string, limits = ADAPTER_FILE_LIMITS): Promise<void> {
  await mkdir(to);
  const copied = new Set<AdapterFile>();
  for (const name of ADAPTER_FILES) {
    const source = join(from, name);
    const stats = await lstat(source).catch(() => null);
    if (stats === null) continue;
    if (!stats.isFile()) throw notPlain(name);
    checkAdapterFileSize(name, stats.size, limits[name]);
    // The file may have been replaced by a link in the meantime: readPlainFile does not follow one.
    await writeHashed(join(to, name), readPlainFile(source));
    copied.add(name);
  }
  requireFiles(copied, (await lstat(join(from, PICKLED_WEIGHTS)).catch(() => null)) !== null);
}

/**
 * Requires the two files without which an adapter is unusable: its configuration and its weights as safetensors.
 *
 * @param hasPickle whether the folder holds the weights as a pickle
 * @throws AppError 422 `invalid_adapter` that names the pickle if the weights exist only as a pickle, and otherwise the
 *   first missing file
 */
export function requireFiles(present: ReadonlySet<AdapterFile>, hasPickle = false): void {
  if (hasPickle && !present.has('adapter_model.safetensors')) {
    throw unusable(PICKLED_WEIGHTS, `${PICKLED_WEIGHTS} ${ADAPTER_PICKLE_ADVICE}`, 'pickle_refused');
  }
  const missing = REQUIRED.find((name) => !present.has(name));
  if (missing === undefined) return;
  throw unusable(missing, `${missing} is missing, expected ${REQUIRED.join(' and ')}`, 'missing_file');
}

function unusable(file: string, message: string, reason: string): AppError {
  return unprocessable('invalid_adapter', message, { file, tensor: null, reason });
}

/** Refuses an adapter's file that is larger than its limit. @throws AppError 413 `adapter_too_large` */
export function checkAdapterFileSize(name: string, bytes: number, maxBytes: number): void {
  if (bytes <= maxBytes) return;
  throw new AppError({
    code: 'adapter_too_large',
    status: 413,
    message: `${name} has ${bytes} bytes, expected at most ${maxBytes}`,
    details: { file: name, max_bytes: maxBytes },
  });
}

function notPlain(name: string): AppError {
  return unprocessable('not_a_plain_file', `${name} is a link or a device, expected a plain file`, {
    file: name,
  });
}

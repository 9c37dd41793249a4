import { FormatError } from '../../core/formats/errors.ts';
import { SafetensorsFile } from '../../core/formats/safetensors/safetensors.ts';
import {
  bytesOf,
  bytesThere,
  download,
  type DownloadOptions,
  type SourceFile,
} from '../../src/platform/base-sources/index.ts';

export interface FetchProgress {
  /** Number of bytes of the base fetched so far. */
  readonly done: number;
  readonly total: number;
  /** Name of one of the files that are being fetched, the first in the list; null if there is none. */
  readonly file: string | null;
}

export interface FetchOptions extends Omit<DownloadOptions, 'onBytes' | 'problemOf'> {
  /** Number of files fetched in parallel, each in a stream of its own. */
  readonly streams: number;
  readonly onProgress: (progress: FetchProgress) => void;
}

/**
 * Fetches files into a folder, several in parallel. The first error stops all streams; the next attempt continues the
 * unfinished files.
 * @returns the SHA-256 of each file by its name
 * @throws the errors of {@link download}
 */
export async function fetchFiles(
  folder: string,
  files: readonly SourceFile[],
  { onProgress, streams, ...options }: FetchOptions,
): Promise<ReadonlyMap<string, string>> {
  const total = bytesOf(files);
  let done = 0;
  for (const file of files) done += await bytesThere(folder, file);
  const hashes = new Map<string, string>();
  const running = new Set<string>();
  const report = (): void => onProgress({ done, total, file: [...running][0] ?? null });
  const onBytes = (bytes: number): void => {
    done += bytes;
    report();
  };
  const ending = new AbortController();
  const { signal } = ending;
  const end = (): void => ending.abort(options.signal.reason);
  options.signal.throwIfAborted();
  options.signal.addEventListener('abort', end, { once: true });
  const waiting = files.values();
  const inTurn = async (): Promise<void> => {
    for (const file of waiting) {
      signal.throwIfAborted();
      running.add(file.name);
      report();
      hashes.set(file.name, await download(folder, file, { ...options, signal, onBytes, problemOf: headerProblem }));
      running.delete(file.name);
      report();
    }
  };
  const faults: unknown[] = [];
  const lanes = Array.from({ length: streams }, () =>
    inTurn().catch((error: unknown) => {
      faults.push(error);
      ending.abort(error);
    }),
  );
  await Promise.all(lanes).finally(() => options.signal.removeEventListener('abort', end));
  if (faults.length > 0) throw faults[0];
  report();
  return hashes;
}

/**
 * Reason for which a file cannot be the weights that its name claims; null if it can, or if it is not named as weights.
 */
async function headerProblem(place: string, name: string): Promise<string | null> {
  if (!name.endsWith('.safetensors')) return null;
  try {
    await (await SafetensorsFile.open(place, name)).close();
    return null;
  } catch (error) {
    if (error instanceof FormatError) return error.message;
    throw error;
  }
}

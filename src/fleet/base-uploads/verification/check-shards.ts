import type { UploadedFile } from '../../../platform/base-sources/index.ts';
import { unprocessable, type AppError } from '../../../platform/contract/errors.ts';

/**
 * Name of the index file of a model whose weights are in several files. The index says which file holds which tensor.
 */
export const INDEX = 'model.safetensors.index.json';

/**
 * Checks that all weight files named in a model's index file are present. Weights in one file need no index.
 *
 * @param readIndex reads the whole index file, whose size {@link checkListing} has checked
 * @throws AppError 422 `source_refused` that names a missing file; the errors of `readIndex`
 */
export async function checkShards(
  contents: readonly UploadedFile[],
  readIndex: () => AsyncIterable<Uint8Array>,
): Promise<void> {
  const names = new Set(contents.map(({ name }) => name));
  if (!names.has(INDEX) || names.has('model.safetensors')) return;
  const chunks: Uint8Array[] = [];
  for await (const chunk of readIndex()) chunks.push(chunk);
  const shards = shardsOf(Buffer.concat(chunks).toString('utf8'));
  const missing = shards.filter((shard) => !names.has(shard)).sort();
  if (missing.length > 0) throw incomplete(missing);
}

/** Reads from an index file the names of the files that hold the weights. */
function shardsOf(text: string): string[] {
  const { weight_map: map } = parsed(text) ?? {};
  const shards: unknown[] = typeof map === 'object' && map !== null ? [...new Set(Object.values(map))] : [null];
  if (!shards.every((shard) => typeof shard === 'string')) {
    throw unprocessable('source_refused', `${INDEX} has no weight_map of tensor names to file names`);
  }
  return shards;
}

function parsed(text: string): { readonly weight_map?: unknown } | null {
  try {
    return JSON.parse(text) as { weight_map?: unknown } | null;
  } catch {
    return null;
  }
}

function incomplete(missing: readonly string[]): AppError {
  const first = JSON.stringify(missing[0]!.slice(0, 200));
  const more = missing.length > 1 ? ` and ${missing.length - 1} more` : '';
  const message = `${INDEX} names ${first}${more}, and no such file was sent: send all files of the model together`;
  return unprocessable('source_refused', message);
}

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { ReadaptError, reasonOf } from '../errors.ts';

/** File to send, and its name in the upload. */
export interface BaseModelFile {
  readonly name: string;
  readonly path: string;
}

export interface DescribedFile extends BaseModelFile {
  readonly size: number;
  /** SHA-256 of the file, in hexadecimal digits. */
  readonly sha256: string;
}

interface Reading {
  /** Range of bytes to read, both ends included. Default: all. */
  readonly range?: { readonly start: number; readonly end: number };
  readonly onBytes?: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Computes the SHA-256 of a file or of a part of it. @throws the error of the file system; the reason of the signal */
export async function sha256Of(
  path: string,
  { range, onBytes, signal }: Reading,
  encoding: 'hex' | 'base64' = 'hex',
): Promise<string> {
  const hash = createHash('sha256');
  const options = { ...range, highWaterMark: 1 << 20 };
  for await (const chunk of createReadStream(path, options) as AsyncIterable<Buffer>) {
    signal?.throwIfAborted();
    hash.update(chunk);
    onBytes?.(chunk.length);
  }
  return hash.digest(encoding);
}

/** Reads the files, and adds their sizes and digests. @throws ReadaptError that names the file which cannot be read */
export async function describeFiles(
  files: readonly BaseModelFile[],
  { onBytes, signal }: { onBytes: (bytes: number, total: number) => void; signal?: AbortSignal | undefined },
): Promise<DescribedFile[]> {
  const sizes = await Promise.all(files.map(({ path }) => readable(path, async () => (await stat(path)).size)));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  let done = 0;
  const described: DescribedFile[] = [];
  for (const [index, file] of files.entries()) {
    const count = (bytes: number): void => onBytes((done += bytes), total);
    const sha256 = await readable(file.path, () => sha256Of(file.path, { onBytes: count, signal }));
    described.push({ ...file, size: sizes[index]!, sha256 });
  }
  return described;
}

async function readable<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    throw new ReadaptError(`${path} cannot be read (${reasonOf(error)})`, { cause: error });
  }
}

/** Digest of the upload's files, which the API calls `files_digest`. */
export function digestOfFiles(files: readonly DescribedFile[]): string {
  const hash = createHash('sha256').update('readapt folder 1\n');
  for (const { name, size, sha256 } of [...files].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    hash.update(`${JSON.stringify([name, size, sha256])}\n`);
  }
  return `sha256:${hash.digest('hex')}`;
}

import { createHash } from 'node:crypto';
import type { ArtifactStore } from '../../artifacts/artifact-store.ts';

/** File of a model within an upload: a file as it was sent, or an entry of a tar archive. */
export interface UploadedFile {
  readonly name: string;
  readonly size: number;
  /** SHA-256 of the content, hexadecimal. */
  readonly sha256: string;
  /** Offset of this file's first byte in the file or archive as it was sent, in bytes. */
  readonly offset: number;
}

/** File that a client has sent in parts. */
export interface SentFile {
  readonly size: number;
  /** Size of each part but the last one, in bytes. */
  readonly partBytes: number;
  /** Digests of the artifacts that hold the parts, in the order of the parts. */
  readonly digests: readonly string[];
}

/** Computes the number of parts of a file. An empty file has one empty part. */
export function partCount(size: number, partBytes: number): number {
  return Math.max(1, Math.ceil(size / partBytes));
}

/** Computes the size of a part in bytes. Parts are numbered from 1. */
export function bytesOfPart(number: number, size: number, partBytes: number): number {
  return Math.min(partBytes, size - (number - 1) * partBytes);
}

export interface PartsRange {
  readonly from: number;
  readonly to: number;
  readonly signal: AbortSignal;
  /** Whether each part that is read as a whole is compared with its digest. */
  readonly verify?: boolean;
}

/** Error of a part whose bytes can no longer be read from the store. */
export class PartGoneError extends Error {
  constructor(
    /** Number of the part, from 1. */
    readonly number: number,
    readonly digest: string,
    options: { cause: unknown },
  ) {
    super(`part ${number} (${digest}) cannot be read`, options);
    this.name = 'PartGoneError';
  }
}

/**
 * Reads the bytes of a file that was sent in parts, from the byte `from` up to, but not including, `to`.
 * @throws PartGoneError with the error of the store as its cause; the signal's reason
 */
export async function* readParts(
  artifacts: Pick<ArtifactStore, 'createReadStream'>,
  { size, partBytes, digests }: SentFile,
  { from, to, signal, verify = false }: PartsRange,
): AsyncGenerator<Uint8Array> {
  for (let number = Math.floor(from / partBytes) + 1; (number - 1) * partBytes < to; number++) {
    const start = (number - 1) * partBytes;
    const bytes = bytesOfPart(number, size, partBytes);
    const wanted = { from: Math.max(0, from - start), to: Math.min(bytes, to - start) };
    try {
      const isWhole = wanted.from === 0 && wanted.to === bytes;
      yield* readPart(artifacts, digests[number - 1]!, { ...wanted, signal, verify: verify && isWhole });
    } catch (error) {
      signal.throwIfAborted();
      throw new PartGoneError(number, digests[number - 1]!, { cause: error });
    }
  }
}

async function* readPart(
  artifacts: Pick<ArtifactStore, 'createReadStream'>,
  digest: string,
  { from, to, signal, verify }: PartsRange,
): AsyncGenerator<Uint8Array> {
  const hash = verify ? createHash('sha256') : null;
  const stream = await artifacts.createReadStream(digest);
  const abort = (): void => void stream.destroy(signal.reason as Error);
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  let at = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      const wanted = chunk.subarray(Math.max(0, from - at), to - at);
      at += chunk.length;
      hash?.update(wanted);
      if (wanted.length > 0) yield wanted;
      if (at >= to) break;
    }
  } finally {
    // A file may have thousands of parts, which share the signal.
    signal.removeEventListener('abort', abort);
  }
  if (at < to) throw new Error(`artifact ${digest} has ${at} bytes, expected at least ${to}`);
  const found = hash && `sha256:${hash.digest('hex')}`;
  if (found !== null && found !== digest) throw new Error(`artifact ${digest} has the digest ${found}`);
}

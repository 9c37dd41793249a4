import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { SourceFile } from './source.ts';

interface Hashes {
  /** SHA-256 of the content, hexadecimal. */
  readonly sha256: string;
  /** Git's hash of the content, hexadecimal; null if the source names no such hash to compare with. */
  readonly gitSha1: string | null;
}

/**
 * Hashes of a file that grows at its end. New bytes are hashed as they are written. Bytes that an earlier attempt has
 * left in the file are read from the disk and hashed.
 */
export class RunningHashes {
  readonly #file: SourceFile;
  #sha256: Hash;
  #gitSha1: Hash | null;
  #bytes = 0;

  constructor(file: SourceFile) {
    this.#file = file;
    [this.#sha256, this.#gitSha1] = startHashes(file);
  }

  /** Reads and hashes those bytes of the file that lie before the offset `to` and were not hashed yet. */
  async read(place: string, to: number, signal?: AbortSignal): Promise<void> {
    if (to < this.#bytes) {
      // The file was cut, so different bytes may follow now.
      [this.#sha256, this.#gitSha1] = startHashes(this.#file);
      this.#bytes = 0;
    }
    if (to === this.#bytes) return;
    const range = { start: this.#bytes, end: to - 1, highWaterMark: 1 << 20 };
    for await (const chunk of createReadStream(place, { ...range, signal })) this.add(chunk as Buffer);
  }

  /** Adds bytes that directly follow those hashed so far. */
  add(bytes: Uint8Array): void {
    this.#sha256.update(bytes);
    this.#gitSha1?.update(bytes);
    this.#bytes += bytes.length;
  }

  /** Computes the final hashes. No bytes can be added afterwards. */
  digest(): Hashes {
    return { sha256: this.#sha256.digest('hex'), gitSha1: this.#gitSha1?.digest('hex') ?? null };
  }
}

function startHashes({ size, gitSha1 }: SourceFile): [Hash, Hash | null] {
  // Git hashes the size together with the content.
  return [createHash('sha256'), gitSha1 === null ? null : createHash('sha1').update(`blob ${size}\0`)];
}

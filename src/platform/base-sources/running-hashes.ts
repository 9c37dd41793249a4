import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { SourceFile } from './source.ts';

interface Hashes {
  /** Hexadecimal, as the other one. */
  readonly sha256: string;
  /** Null where the source gives none to compare it with. */
  readonly gitSha1: string | null;
}

/**
 * The hashes of a file that grows at its end: of what was added as it was written, and of what was read because it had
 * been there.
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

  /** Reads the beginning of the file, up to a byte, as far as it was not added. */
  async read(place: string, to: number, signal?: AbortSignal): Promise<void> {
    if (to < this.#bytes) {
      // Somebody has cut the file, so that other bytes may follow now.
      [this.#sha256, this.#gitSha1] = startHashes(this.#file);
      this.#bytes = 0;
    }
    if (to === this.#bytes) return;
    const range = { start: this.#bytes, end: to - 1, highWaterMark: 1 << 20 };
    for await (const chunk of createReadStream(place, { ...range, signal })) this.add(chunk as Buffer);
  }

  /** Adds bytes that follow those that were read or added. */
  add(bytes: Uint8Array): void {
    this.#sha256.update(bytes);
    this.#gitSha1?.update(bytes);
    this.#bytes += bytes.length;
  }

  /** Ends them. */
  digest(): Hashes {
    return { sha256: this.#sha256.digest('hex'), gitSha1: this.#gitSha1?.digest('hex') ?? null };
  }
}

function startHashes({ size, gitSha1 }: SourceFile): [Hash, Hash | null] {
  // Git hashes the size with the content.
  return [createHash('sha256'), gitSha1 === null ? null : createHash('sha1').update(`blob ${size}\0`)];
}

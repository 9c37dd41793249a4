import { createHash } from 'node:crypto';

/**
 * Stream that hashes its bytes as they are read. {@link HashedStream.sha256} reads and hashes the rest that a reader
 * leaves.
 */
export class HashedStream {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #hash = createHash('sha256');
  #held: Uint8Array = new Uint8Array();

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#source = chunks[Symbol.asyncIterator]();
  }

  /** Unread rest of the stream. A reader that stops early does not close the source. */
  readonly rest: AsyncIterable<Uint8Array> = { [Symbol.asyncIterator]: () => ({ next: () => this.#next() }) };

  /** Next bytes; fewer than asked for only at the end of the stream. */
  async take(bytes: number): Promise<Buffer> {
    const taken = Buffer.alloc(bytes);
    let length = 0;
    while (length < bytes) {
      const { value, done } = await this.#next();
      if (done === true) break;
      const wanted = value.subarray(0, bytes - length);
      taken.set(wanted, length);
      length += wanted.length;
      this.#held = value.subarray(wanted.length);
    }
    return taken.subarray(0, length);
  }

  /** Reads the rest. @returns the SHA-256 of all bytes, hexadecimal */
  async sha256(): Promise<string> {
    while ((await this.#next()).done !== true);
    return this.#hash.digest('hex');
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }

  async #next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#held.length > 0) {
      const value = this.#held;
      this.#held = new Uint8Array();
      return { value, done: false };
    }
    const found = await this.#source.next();
    if (found.done === true) return { value: undefined, done: true };
    this.#hash.update(found.value);
    return { value: found.value, done: false };
  }
}

import { createHash } from 'node:crypto';

/**
 * Stream that hashes its bytes while they are read. A reader may stop early: {@link HashedStream.sha256} then reads and
 * hashes the rest.
 */
export class HashedStream {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #hash = createHash('sha256');
  #held: Uint8Array = new Uint8Array();

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#source = chunks[Symbol.asyncIterator]();
  }

  /**
   * Bytes of the stream that are still unread. A reader that stops early leaves the source open, so that the stream can
   * be read on.
   */
  readonly rest: AsyncIterable<Uint8Array> = { [Symbol.asyncIterator]: () => ({ next: () => this.#next() }) };

  /** Reads the next bytes, as many as asked for; fewer at the end of the stream. */
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

  /** Reads the rest of the stream. @returns the SHA-256 of all bytes of the stream, hexadecimal */
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

interface Releasable {
  release(): Promise<void>;
}

/** Cache of at most `capacity` compiled programs. The least recently used one is evicted and released. */
export class ProgramCache<T extends Releasable> {
  readonly #capacity: number;
  /** Entries in order of last use, oldest first. */
  readonly #entries = new Map<string, Promise<T>>();

  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw new RangeError(`the program cache's capacity is ${capacity}, expected a positive integer`);
    }
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#entries.size;
  }

  /**
   * Returns the program with the given key, and makes it with `create` if the cache holds none; concurrent callers
   * share one creation. An old program is evicted before a new one is made, so that there are never more than
   * `capacity` entries in memory.
   */
  async get(key: string, create: () => Promise<T>): Promise<T> {
    const known = this.#entries.get(key);
    const entry = known ?? this.#makeRoom().then(create);
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    if (!known) entry.catch(() => this.#entries.delete(key));
    return entry;
  }

  async clear(): Promise<void> {
    await this.release(() => true);
  }

  /** Removes and releases the programs whose keys satisfy `matches`. */
  async release(matches: (key: string) => boolean): Promise<void> {
    const entries = [...this.#entries].filter(([key]) => matches(key));
    for (const [key] of entries) this.#entries.delete(key);
    for (const [, entry] of entries) await (await entry).release();
  }

  async #makeRoom(): Promise<void> {
    const surplus = [...this.#entries].slice(0, Math.max(0, this.#entries.size - this.#capacity + 1));
    for (const [key] of surplus) this.#entries.delete(key);
    for (const [, entry] of surplus) await (await entry).release();
  }
}

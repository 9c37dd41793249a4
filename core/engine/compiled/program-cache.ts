interface Releasable {
  release(): Promise<void>;
}

/** Keeps at most `capacity` compiled programs and releases the one that was used longest ago. */
export class ProgramCache<T extends Releasable> {
  readonly #capacity: number;
  /** In order of last use, oldest first. */
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

  /** Returns the entry of that key, made by `create` if there is none; concurrent callers share one creation. */
  async get(key: string, create: () => Promise<T>): Promise<T> {
    const known = this.#entries.get(key);
    const entry = known ?? create();
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    if (!known) {
      entry.catch(() => this.#entries.delete(key));
      await this.#evict();
    }
    return entry;
  }

  async clear(): Promise<void> {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const entry of entries) await (await entry).release();
  }

  async #evict(): Promise<void> {
    for (const [key, entry] of this.#entries) {
      if (this.#entries.size <= this.#capacity) return;
      this.#entries.delete(key);
      await (await entry).release();
    }
  }
}

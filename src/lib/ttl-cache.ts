/** Time for which a value is cached, as a multiple of the time that its computation took. */
const LIFETIME_FACTOR = 20;
/** Largest number of cached values. Beyond it, the oldest is evicted. */
const MAX_ENTRIES = 1000;

interface Entry<T> {
  value: Promise<T>;
  /** Time at which the value expires, in milliseconds on the clock of `performance.now()`. */
  freshUntil: number;
}

/**
 * Cache for values that many clients poll. A value is kept for twenty times as long as it took to compute, so at most
 * about a twentieth of the time goes into computing it, however many clients poll. Callers that ask during a
 * computation share its result.
 */
export class TtlCache<T> {
  readonly #entries = new Map<string, Entry<T>>();

  /**
   * Returns the cached value of a key, or computes it.
   * @param compute computes the value if none is cached for the key; if it rejects, nothing is cached
   */
  get(key: string, compute: () => Promise<T>): Promise<T> {
    const began = performance.now();
    const known = this.#entries.get(key);
    if (known !== undefined && began < known.freshUntil) return known.value;
    const entry: Entry<T> = { value: compute(), freshUntil: Number.POSITIVE_INFINITY };
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    entry.value.then(
      () => (entry.freshUntil = performance.now() + LIFETIME_FACTOR * (performance.now() - began)),
      () => this.#entries.delete(key),
    );
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > MAX_ENTRIES && oldest !== undefined) this.#entries.delete(oldest);
    return entry.value;
  }
}

/** What is computed takes at most one part in so many of the time. */
const SHARE = 20;
/** Largest number of values that are kept. */
const KEPT = 1000;

interface Entry<T> {
  value: Promise<T>;
  /** Until when the value may be given to others, by the clock of `performance.now()`. */
  freshUntil: number;
}

/**
 * Keeps values that many ask for again and again, for twenty times as long as each took to compute: however many poll, they cost a
 * twentieth of the time. Whoever asks while a value is computed waits for that one.
 */
export class KeptBriefly<T> {
  readonly #entries = new Map<string, Entry<T>>();

  /** @param compute makes the value if none is kept for the key; if it throws, nothing is kept */
  get(key: string, compute: () => Promise<T>): Promise<T> {
    const began = performance.now();
    const known = this.#entries.get(key);
    if (known !== undefined && began < known.freshUntil) return known.value;
    const entry: Entry<T> = { value: compute(), freshUntil: Number.POSITIVE_INFINITY };
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    entry.value.then(
      () => (entry.freshUntil = performance.now() + SHARE * (performance.now() - began)),
      () => this.#entries.delete(key),
    );
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > KEPT && oldest !== undefined) this.#entries.delete(oldest);
    return entry.value;
  }
}

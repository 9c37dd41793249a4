/**
 * Largest number of characters of all answer bodies in the cache together; `MOST_OF_ONE` is the largest number of a
 * single body. A page of 200 jobs has some 250,000 characters.
 */
const MOST_CHARACTERS = 16 * 1024 * 1024;
const MOST_OF_ONE = 512 * 1024;

interface Kept {
  readonly etag: string;
  readonly body: string;
}

/**
 * LRU cache of answer bodies, so that unchanged answers are not computed again. A caller first reads the current ETag
 * of the answer, and gets a cached body only if it was stored under that ETag.
 */
export class KeptBodies {
  readonly #kept = new Map<string, Kept>();
  #characters = 0;

  /** @param key identifies the answer and the caller, because tenants see different bodies */
  get(key: string, etag: string): string | null {
    const kept = this.#kept.get(key);
    if (kept?.etag !== etag) return null;
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    return kept.body;
  }

  keep(key: string, etag: string, body: string): void {
    this.#drop(key);
    const characters = key.length + body.length;
    if (characters > MOST_OF_ONE) return;
    this.#kept.set(key, { etag, body });
    this.#characters += characters;
    for (const oldest of this.#kept.keys()) {
      if (this.#characters <= MOST_CHARACTERS) return;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    const kept = this.#kept.get(key);
    if (kept === undefined) return;
    this.#kept.delete(key);
    this.#characters -= key.length + kept.body.length;
  }
}

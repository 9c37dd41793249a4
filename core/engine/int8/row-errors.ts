import type { BaseModel } from '../../models/base-model.ts';
import { EngineCache } from '../cache/engine-cache.ts';
import { ownSources, sha256 } from '../cache/sources.ts';
import type { Int8Errors } from './int8-errors.ts';

/**
 * Cache of the measured errors of int8 by base and kind of rows; rows of similar length and script are of one kind.
 * Errors are kept in memory and, given a folder, for later processes.
 */
export class RowErrors {
  readonly #known = new Map<string, Promise<Partial<Int8Errors> | null>>();
  readonly #cache: EngineCache | null;

  constructor(folder: string | null) {
    this.#cache = folder === null ? null : new EngineCache(folder, { maxEntries: 4096, maxBytes: 1 << 20 });
  }

  /**
   * Returns the cached errors of int8 on a base with rows of this kind. If none are cached, calls `compare` and caches
   * its result.
   */
  async of(
    { fingerprint }: BaseModel,
    kind: string,
    compare: () => Promise<Partial<Int8Errors> | null>,
  ): Promise<Partial<Int8Errors> | null> {
    const key = sha256(JSON.stringify(['rows', fingerprint, kind, ownSources()]));
    const known = this.#known.get(key) ?? this.#find(key, compare);
    this.#known.set(key, known);
    known.then(
      (errors) => errors ?? this.#known.delete(key),
      () => this.#known.delete(key),
    );
    return known;
  }

  async #find(key: string, compare: () => Promise<Partial<Int8Errors> | null>): Promise<Partial<Int8Errors> | null> {
    const kept = await this.#cache?.read(key);
    if (kept) return JSON.parse(Buffer.from(kept).toString()) as Partial<Int8Errors>;
    const found = await compare();
    if (found) await this.#cache?.write(key, Buffer.from(JSON.stringify(found)));
    return found;
  }
}

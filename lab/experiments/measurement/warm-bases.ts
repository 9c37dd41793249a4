import type { LoadedBase } from '../../../core/engine/base-cache.ts';

/** Remembers what every loaded base has done already. One that was released and loaded again has done nothing. */
export class WarmBases {
  readonly #done = new WeakMap<LoadedBase, Set<string>>();

  /** Whether this base is asked about this text for the first time. */
  isCold(base: LoadedBase, what: string): boolean {
    const done = this.#done.get(base) ?? new Set();
    this.#done.set(base, done);
    return !done.has(what) && Boolean(done.add(what));
  }
}

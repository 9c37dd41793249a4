import type { LoadedBase } from '../../../core/engine/base-cache.ts';

/** Set of the work that each loaded base has already done. A base that was released and loaded again is cold. */
export class WarmBases {
  readonly #done = new WeakMap<LoadedBase, Set<string>>();

  /** Whether the base has not done this work before. The call marks it as done. */
  isCold(base: LoadedBase, what: string): boolean {
    const done = this.#done.get(base) ?? new Set();
    this.#done.set(base, done);
    return !done.has(what) && Boolean(done.add(what));
  }
}

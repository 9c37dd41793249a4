import type { BaseCache, LoadedBase } from '../../engine/base-cache.ts';
import type { Precision } from '../../options/precisions.ts';

/**
 * New base of a job, on which its adapters are measured and trained. It may be unloaded and loaded again while the job
 * runs.
 */
export class NewBase {
  readonly #bases: BaseCache;
  readonly #asked: Precision | undefined;
  #loaded: LoadedBase;

  /** @param asked precision that was requested for the base; undefined if it was chosen automatically */
  constructor(bases: BaseCache, loaded: LoadedBase, asked: Precision | undefined) {
    this.#bases = bases;
    this.#loaded = loaded;
    this.#asked = asked;
  }

  /**
   * New base as it is loaded now. Read this property at every use: after another loading, the earlier object may be
   * released.
   */
  get loaded(): LoadedBase {
    return this.#loaded;
  }

  /** Precision of the new base, which stays the same when the base is loaded again. */
  get precision(): Precision {
    return this.#loaded.precision.precision;
  }

  /**
   * Runs a function that may evict the new base from memory, because it loads another one, and then loads the new base
   * again if it was evicted.
   */
  async reloadAfter<T>(run: () => Promise<T>): Promise<T> {
    const result = await run();
    if (!(await this.#bases.holds(this.#loaded))) this.#loaded = await this.#loadAgain();
    return result;
  }

  /**
   * Loads the new base again, first with the precision requested at first, so that later jobs find it in the cache. If
   * that was an automatic choice and comes out differently now, loads the base in the earlier precision instead.
   */
  async #loadAgain(): Promise<LoadedBase> {
    const { folder } = this.#loaded;
    const found = await this.#bases.load(folder, this.#asked);
    return found.precision.precision === this.precision ? found : this.#bases.load(folder, this.precision);
  }
}

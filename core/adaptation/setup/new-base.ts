import type { BaseCache, LoadedBase } from '../../engine/base-cache.ts';
import type { Precision } from '../../options/precisions.ts';

/**
 * New base of a job, on which its adapters are measured and trained. Other bases may evict it from memory while the job
 * runs; it is then loaded again.
 */
export class NewBase {
  readonly #bases: BaseCache;
  readonly #asked: Precision | undefined;
  #loaded: LoadedBase;

  /** @param asked precision that was asked for when the base was loaded; undefined if it was chosen automatically */
  constructor(bases: BaseCache, loaded: LoadedBase, asked: Precision | undefined) {
    this.#bases = bases;
    this.#loaded = loaded;
    this.#asked = asked;
  }

  /**
   * New base as it is loaded now. Read this property at every use: after the base was loaded again, an earlier object
   * may no longer be usable.
   */
  get loaded(): LoadedBase {
    return this.#loaded;
  }

  /** Precision of the new base, which stays the same when the base is loaded again. */
  get precision(): Precision {
    return this.#loaded.precision.precision;
  }

  /**
   * Runs a function that may load another base, which may evict the new base from memory. If it did, the new base is
   * loaded again before the function's result is returned.
   */
  async reloadAfter<T>(run: () => Promise<T>): Promise<T> {
    const result = await run();
    if (!(await this.#bases.holds(this.#loaded))) this.#loaded = await this.#loadAgain();
    return result;
  }

  /**
   * Loads the new base again in the same way as at first, so that later jobs find it in the cache. If an automatic
   * choice of the precision comes out differently now, the base is loaded in the earlier precision instead.
   */
  async #loadAgain(): Promise<LoadedBase> {
    const { folder } = this.#loaded;
    const found = await this.#bases.load(folder, this.#asked);
    return found.precision.precision === this.precision ? found : this.#bases.load(folder, this.precision);
  }
}

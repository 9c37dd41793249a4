import type { BaseCache, LoadedBase } from '../../engine/base-cache.ts';
import type { Precision } from '../../options/precisions.ts';

/**
 * Base that a job's adapters are measured and trained on. It may be unloaded and loaded again in the middle of the job.
 */
export class NewBase {
  readonly #bases: BaseCache;
  readonly #asked: Precision | undefined;
  #loaded: LoadedBase;

  /** @param asked the requested precision; undefined if it was chosen automatically */
  constructor(bases: BaseCache, loaded: LoadedBase, asked: Precision | undefined) {
    this.#bases = bases;
    this.#loaded = loaded;
    this.#asked = asked;
  }

  /** Loaded base. Read this property at every use, because an earlier base may have been released. */
  get loaded(): LoadedBase {
    return this.#loaded;
  }

  /** Precision of the base, which stays the same when it is loaded again. */
  get precision(): Precision {
    return this.#loaded.precision.precision;
  }

  /**
   * Runs a function that loads another base, which may evict the new base, and then loads the new base again if
   * necessary.
   */
  async reloadAfter<T>(run: () => Promise<T>): Promise<T> {
    const result = await run();
    if (!(await this.#bases.holds(this.#loaded))) this.#loaded = await this.#loadAgain();
    return result;
  }

  /**
   * Loads the base again. Requests it as before first, so that later jobs find it in the cache; if the automatic choice
   * is another precision now, requests the earlier precision.
   */
  async #loadAgain(): Promise<LoadedBase> {
    const { folder } = this.#loaded;
    const found = await this.#bases.load(folder, this.#asked);
    return found.precision.precision === this.precision ? found : this.#bases.load(folder, this.precision);
  }
}

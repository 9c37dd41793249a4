import type { BaseCache, LoadedBase } from '../../engine/base-cache.ts';
import type { Precision } from '../../options/precisions.ts';

/** The base that a job's adapters are measured and trained on. It may be loaded again in the middle of the job. */
export class NewBase {
  readonly #bases: BaseCache;
  readonly #asked: Precision | undefined;
  #loaded: LoadedBase;

  /** @param asked the precision that it was asked for in; undefined where one was chosen */
  constructor(bases: BaseCache, loaded: LoadedBase, asked: Precision | undefined) {
    this.#bases = bases;
    this.#loaded = loaded;
    this.#asked = asked;
  }

  /** To be asked for anew whenever it is used: what was loaded before may have been released. */
  get loaded(): LoadedBase {
    return this.#loaded;
  }

  /** The same however often it is loaded. */
  get precision(): Precision {
    return this.#loaded.precision.precision;
  }

  /** Runs something that loads another base, for which this one may have to make room, and loads it again if it had to. */
  async makeRoomFor<T>(run: () => Promise<T>): Promise<T> {
    const result = await run();
    if (!(await this.#bases.holds(this.#loaded))) this.#loaded = await this.#loadAgain();
    return result;
  }

  /** It is asked for as before, so that later jobs find it, and has the precision of before, also where another one is chosen now. */
  async #loadAgain(): Promise<LoadedBase> {
    const { folder } = this.#loaded;
    const found = await this.#bases.load(folder, this.#asked);
    return found.precision.precision === this.precision ? found : this.#bases.load(folder, this.precision);
  }
}

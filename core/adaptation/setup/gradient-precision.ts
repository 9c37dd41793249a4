import type { TokenizedExample } from '../../data/example.ts';
import type { BaseCache } from '../../engine/base-cache.ts';
import type { Runtime } from '../../engine/runtime.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { Precision } from '../../options/precisions.ts';
import { objectionToGradients } from './job-precision.ts';
import type { NewBase } from './new-base.ts';

/** Origin of the adapter that is trained: `carried` over from the old base, or `fresh`. */
export type AdapterOrigin = 'carried' | 'fresh';

/**
 * Precision of gradients by the origin of the trained adapter. It has only those origins for which the precision has
 * been chosen. Plain JSON.
 */
export type GradientPrecisions = Readonly<Partial<Record<AdapterOrigin, Precision>>>;

export interface GradientPrecisionOptions {
  readonly bases: BaseCache;
  /** New base of the job in the job's precision, in which adapters are measured. */
  readonly newBase: Pick<NewBase, 'loaded'>;
  /** Rows of the task on which gradients in int8 are compared with those in float32. */
  readonly rows: readonly TokenizedExample[];
  warn(message: string): void;
}

/**
 * Chooses the precision in which a job computes gradients, if its base is in int8. Gradients are computed in int8 as
 * well, unless rows of the task show that int8 changes the gradients too much, and a base in float32 fits into memory
 * in addition. The choice is made when gradients are first needed, because most adapters are ready without training.
 * Losses are always measured in int8.
 */
export class GradientPrecision {
  readonly #options: GradientPrecisionOptions;
  #decided: GradientPrecisions = {};

  constructor(options: GradientPrecisionOptions) {
    this.#options = options;
  }

  /** Precisions of gradients chosen so far. A job's checkpoint stores them, so that a resumed job keeps them. */
  get decided(): GradientPrecisions {
    return this.#decided;
  }

  restore(decided: GradientPrecisions): void {
    this.#decided = decided;
  }

  /**
   * Calls `run` with a runtime that computes gradients in the precision chosen for an adapter of this origin, and
   * returns its result.
   */
  async use<T>(adapter: Adapter, origin: AdapterOrigin, run: (runtime: Runtime) => Promise<T>): Promise<T> {
    const { bases, newBase, warn } = this.#options;
    const base = newBase.loaded;
    if (base.precision.precision !== 'int8') return run(base.runtime);
    const objection = this.#decided[origin] === undefined ? await this.#objection(adapter, origin) : null;
    if (objection !== null && !bases.chooses) warn(objection);
    if (this.#decided[origin] === 'f32' || (objection !== null && bases.chooses)) {
      const inFloat32 = async (exact: Runtime) => {
        this.#decide(origin, 'f32');
        if (objection !== null) warn(`${objection}: it is trained in float32, and measured in int8`);
        return { result: await run(exact) };
      };
      const done = await bases.withFloat32(base, inFloat32, 'training');
      if (done) return done.result;
      const reason = objection ?? 'the job has trained in float32';
      warn(`${reason}: it is trained in int8, because float32 does not fit into the memory beside it`);
    }
    this.#decide(origin, 'int8');
    return run(base.runtime);
  }

  async #objection(adapter: Adapter, origin: AdapterOrigin): Promise<string | null> {
    const { bases, newBase, rows } = this.#options;
    const objection = await objectionToGradients({ bases, base: newBase.loaded, adapter, rows }, origin);
    return objection && `with this adapter on rows of this task, ${objection}`;
  }

  #decide(origin: AdapterOrigin, precision: Precision): void {
    this.#decided = { ...this.#decided, [origin]: precision };
  }
}

import type { TokenizedExample } from '../../data/example.ts';
import type { BaseCache } from '../../engine/base-cache.ts';
import type { Runtime } from '../../engine/runtime.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { Precision } from '../../options/precisions.ts';
import { objectionToGradients } from './job-precision.ts';
import type { NewBase } from './new-base.ts';

/** Origin of the adapter whose gradients are computed: carried over from the old one, or freshly created. */
export type AdapterOrigin = 'carried' | 'fresh';

/** Decided precisions, by the origin of the adapter. Plain JSON. */
export type GradientPrecisions = Readonly<Partial<Record<AdapterOrigin, Precision>>>;

export interface GradientPrecisionOptions {
  readonly bases: BaseCache;
  /** Base that adapters are measured on. */
  readonly newBase: Pick<NewBase, 'loaded'>;
  /** Rows of the task on which int8 is compared with float32. */
  readonly rows: readonly TokenizedExample[];
  warn(message: string): void;
}

/**
 * Decides the precision of a job's gradients on a base in int8. It is int8 as well, unless rows of the task show that
 * int8 changes the gradients too much and float32 fits into memory beside it. The decision is made when gradients are
 * first needed, because most adapters are ready without any. Losses are measured in int8 in either case.
 */
export class GradientPrecision {
  readonly #options: GradientPrecisionOptions;
  #decided: GradientPrecisions = {};

  constructor(options: GradientPrecisionOptions) {
    this.#options = options;
  }

  /** Decisions so far, which a resumed job restores and keeps. */
  get decided(): GradientPrecisions {
    return this.#decided;
  }

  restore(decided: GradientPrecisions): void {
    this.#decided = decided;
  }

  /** Calls `run` with the runtime that computes the gradients of an adapter. */
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

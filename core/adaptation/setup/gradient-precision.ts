import type { TokenizedExample } from '../../data/example.ts';
import type { BaseCache } from '../../engine/base-cache.ts';
import type { Runtime } from '../../engine/runtime.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { Precision } from '../../options/precisions.ts';
import { objectionToGradients } from './job-precision.ts';
import type { NewBase } from './new-base.ts';

/** Where the adapter comes from whose gradients are computed: from the old one, or from nothing. */
export type AdapterOrigin = 'carried' | 'fresh';

/** The precisions that were decided on, by the origin of the adapter. Plain JSON. */
export type GradientPrecisions = Readonly<Partial<Record<AdapterOrigin, Precision>>>;

export interface GradientPrecisionOptions {
  readonly bases: BaseCache;
  /** The base that adapters are measured on. */
  readonly newBase: Pick<NewBase, 'loaded'>;
  /** Rows of the task to decide by. */
  readonly rows: readonly TokenizedExample[];
  warn(message: string): void;
}

/**
 * Decides in which precision a job computes gradients on a base in int8: in int8, too, unless rows of the task show that it
 * moves the gradients too far, and float32 fits into memory beside it. It is decided when gradients are needed first,
 * because most adapters are ready without any. Losses are measured in int8 in either case.
 */
export class GradientPrecision {
  readonly #options: GradientPrecisionOptions;
  #decided: GradientPrecisions = {};

  constructor(options: GradientPrecisionOptions) {
    this.#options = options;
  }

  /** What was decided so far. A resumed job restores it, and keeps to it. */
  get decided(): GradientPrecisions {
    return this.#decided;
  }

  restore(decided: GradientPrecisions): void {
    this.#decided = decided;
  }

  /** Runs something with the runtime that computes the gradients of an adapter. */
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

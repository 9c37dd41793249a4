import type { BaseModel } from '../../models/base-model.ts';
import type { EngineCache } from '../cache/engine-cache.ts';
import { CompiledRuntime } from '../compiled/compiled-runtime.ts';
import { executionProviderOf } from '../devices/execution-provider.ts';
import type { Smoothing } from './rounding/int8-matrix.ts';
import type { RoundedStore } from './rounding/rounded-store.ts';
import { RoundedWeights } from './rounding/rounded-weights.ts';

export interface Int8EngineOptions {
  readonly base: BaseModel;
  readonly threads: number;
  /** Keeps encoded graphs and verdicts for later processes. Default: none. */
  readonly cache?: EngineCache | null | undefined;
  /** Keeps rounded matrices for later processes. Default: none. */
  readonly store?: RoundedStore | null | undefined;
  /** Says how many bytes the process may still take for a comparison with float32. Default: what the machine has free. */
  readonly free?: (() => number) | undefined;
}

/** A base that is computed in 8 bits on the CPU: its rounded matrices, and a runtime that multiplies with them. */
export class Int8Engine {
  readonly runtime: CompiledRuntime;
  readonly rounded: RoundedWeights;

  private constructor(runtime: CompiledRuntime, rounded: RoundedWeights) {
    this.runtime = runtime;
    this.rounded = rounded;
  }

  /** Reads or rounds the matrices; whoever opened the engine disposes of it. */
  static async open(options: Int8EngineOptions & { readonly smoothing: Smoothing }): Promise<Int8Engine> {
    const { base, threads, cache } = options;
    const rounded = new RoundedWeights(options);
    await rounded.prepare();
    const provider = executionProviderOf('cpu', 'int8');
    return new Int8Engine(new CompiledRuntime(base, { threads, cache, provider, rounded }), rounded);
  }

  /** Lets go of what only gradients need, until it is needed again. */
  async releaseBackward(): Promise<void> {
    await this.runtime.releaseBackward();
    this.rounded.release('backward');
  }

  async dispose(): Promise<void> {
    await this.runtime.dispose();
    await this.rounded.dispose();
  }
}

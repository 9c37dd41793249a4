import type { BaseModel } from '../../models/base-model.ts';
import type { EngineCache } from '../cache/engine-cache.ts';
import { CompiledRuntime } from '../compiled/compiled-runtime.ts';
import type { ProgramPool } from '../compiled/program-pool.ts';
import { executionProviderOf } from '../devices/execution-provider.ts';
import type { Smoothing } from './rounding/int8-matrix.ts';
import type { RoundedStore } from './rounding/rounded-store.ts';
import { RoundedWeights } from './rounding/rounded-weights.ts';
import type { TracingThread } from '../tracer/tracing-thread.ts';

export interface Int8EngineOptions {
  readonly base: BaseModel;
  readonly threads: number;
  /** Keeps encoded graphs and verdicts for later processes. Default: none. */
  readonly cache?: EngineCache | null | undefined;
  /** Keeps rounded matrices for later processes. Default: none. */
  readonly store?: RoundedStore | null | undefined;
  /** Says how many bytes the process may still take for a comparison with float32. Default: what the machine has free. */
  readonly free?: (() => number) | undefined;
  /** Programs that are shared with other bases of the same config. Default: none are. */
  readonly pool?: ProgramPool | undefined;
  /** Traces programs in a thread of its own. Default: they are traced in this one. */
  readonly tracer?: TracingThread | undefined;
}

interface OpenOptions extends Int8EngineOptions {
  readonly smoothing: Smoothing;
  /** The base's weights, where they are in memory for the moment. */
  readonly held?: BaseModel['weights'] | undefined;
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
  static async open(options: OpenOptions): Promise<Int8Engine> {
    const { base, threads, cache, store, smoothing, held, pool, tracer } = options;
    const rounded = new RoundedWeights({ base, smoothing, threads, store });
    await rounded.prepare(held);
    const provider = executionProviderOf('cpu', 'int8');
    return new Int8Engine(new CompiledRuntime(base, { threads, cache, provider, rounded, pool, tracer }), rounded);
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

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
  /** Cache of encoded graphs and verdicts for later processes. Default: none. */
  readonly cache?: EngineCache | null | undefined;
  /** Store of rounded matrices for later processes. Default: none. */
  readonly store?: RoundedStore | null | undefined;
  /**
   * Function that returns the bytes that the process may still allocate, for a comparison with float32. Default: the
   * machine's free memory.
   */
  readonly free?: (() => number) | undefined;
  /** Pool of programs shared with other bases of the same config. Default: none. */
  readonly pool?: ProgramPool | undefined;
  /** Thread that traces programs. Default: programs are traced in the calling thread. */
  readonly tracer?: TracingThread | undefined;
}

interface OpenOptions extends Int8EngineOptions {
  readonly smoothing: Smoothing;
  /** Weights of the base in float32, if they are in memory anyway; otherwise they are read from disk. */
  readonly held?: BaseModel['weights'] | undefined;
}

/** A base that computes in 8 bits on the CPU: its rounded matrices and the runtime that uses them. */
export class Int8Engine {
  readonly runtime: CompiledRuntime;
  readonly rounded: RoundedWeights;

  private constructor(runtime: CompiledRuntime, rounded: RoundedWeights) {
    this.runtime = runtime;
    this.rounded = rounded;
  }

  /** Opens an engine, and reads or rounds the matrices of its base. The caller disposes of the engine. */
  static async open(options: OpenOptions): Promise<Int8Engine> {
    const { base, threads, cache, store, smoothing, held, pool, tracer } = options;
    const rounded = new RoundedWeights({ base, smoothing, threads, store });
    await rounded.prepare(held);
    const provider = executionProviderOf('cpu', 'int8');
    return new Int8Engine(new CompiledRuntime(base, { threads, cache, provider, rounded, pool, tracer }), rounded);
  }

  /** Releases the int8 matrices that only gradients need. They are loaded again at their next use. */
  async releaseBackward(): Promise<void> {
    await this.runtime.releaseBackward();
    this.rounded.release('backward');
  }

  async dispose(): Promise<void> {
    await this.runtime.dispose();
    await this.rounded.dispose();
  }
}

import os from 'node:os';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { BaseModel } from '../../models/base-model.ts';
import { bindCall, checkCall, gradientResult, programKey, type ProgramCall } from '../call/bind-call.ts';
import { BoundWeights } from './bound-weights.ts';
import { compileProgram, type CompiledProgram } from './compiled-program.ts';
import { CPU_PROVIDER, type ExecutionProvider } from '../devices/execution-provider.ts';
import type { EngineCache } from '../cache/engine-cache.ts';
import type { Smoothing } from '../int8/int8-matrix.ts';
import type { ProgramKind } from '../decoder/program-spec.ts';
import type { Batch, Dropout, GradientResult, Runtime } from '../runtime.ts';
import { ProgramCache } from './program-cache.ts';

export interface CompiledRuntimeOptions {
  /** Threads of one operator; default: the number of CPUs. */
  readonly threads?: number;
  /**
   * Programs kept compiled at a time; the one that was used longest ago goes first. Default: 32, or 4 where each keeps
   * the base's weights on its device.
   */
  readonly maxPrograms?: number;
  /** ONNX Runtime profiles every session into a JSON file of this path with a time stamp behind it, complete on `dispose`. */
  readonly profileFilePrefix?: string;
  /** Default: the CPU. */
  readonly provider?: ExecutionProvider | undefined;
  /** Of a provider whose products are in 8 bits. Default: none, which is coarser. */
  readonly smoothing?: Smoothing | undefined;
  /** Where encoded graphs are kept from one process to the next. Default: nowhere. */
  readonly cache?: EngineCache | null | undefined;
}

type Outputs = (name: string) => Float32Array;

type Call = Omit<ProgramCall, 'gradientScale'> & Partial<ProgramCall>;

/**
 * Runs the program as graphs on a provider of ONNX Runtime, compiled on first use for each kind and parameterization;
 * batches of all sizes share them. On the CPU the base's weights are bound without a copy and shared by all of them.
 * `session.run` blocks the event loop.
 */
export class CompiledRuntime implements Runtime {
  readonly name = 'compiled';
  readonly base: BaseModel;
  readonly #threads: number;
  readonly #provider: ExecutionProvider;
  readonly #profileFilePrefix: string | undefined;
  readonly #cache: EngineCache | null;
  readonly #weights: BoundWeights;
  readonly #programs: ProgramCache<CompiledProgram>;
  /** The end of the latest call: calls share output buffers and sessions, so they run one after the other. */
  #latest: Promise<unknown> = Promise.resolve();

  constructor(base: BaseModel, options: CompiledRuntimeOptions = {}) {
    this.base = base;
    this.#threads = options.threads ?? os.availableParallelism();
    this.#profileFilePrefix = options.profileFilePrefix;
    this.#cache = options.cache ?? null;
    this.#provider = options.provider ?? CPU_PROVIDER;
    const { keepsWeights } = this.#provider;
    this.#programs = new ProgramCache(options.maxPrograms ?? (keepsWeights ? 4 : 32));
    this.#weights = new BoundWeights(keepsWeights ? new Map() : base.weights, options.smoothing);
  }

  /** Programs that are compiled at the moment. */
  get programs(): number {
    return this.#programs.size;
  }

  async labelLosses(adapter: Adapter | null, batch: Batch): Promise<Float32Array> {
    return (await this.#run('labelLosses', { adapter, batch }))('losses');
  }

  async gradients(adapter: Adapter, batch: Batch, gradientScale: number, dropout?: Dropout): Promise<GradientResult> {
    return gradientResult(adapter, await this.#run('gradients', { adapter, batch, gradientScale, dropout }));
  }

  async logits(adapter: Adapter | null, batch: Batch): Promise<Float32Array> {
    return (await this.#run('logits', { adapter, batch }))('logits');
  }

  async dispose(): Promise<void> {
    await this.#latest;
    await this.#programs.clear();
  }

  #run(kind: ProgramKind, call: Call): Promise<Outputs> {
    const run = this.#latest.then(() => this.#runNow(kind, call));
    this.#latest = run.catch(() => undefined);
    return run;
  }

  async #runNow(kind: ProgramKind, { adapter, batch, gradientScale = 1, dropout }: Call): Promise<Outputs> {
    checkCall(this.base, adapter, batch);
    const call = bindCall(this.base, kind, { adapter, batch, gradientScale, dropout });
    const program = await this.#programs.get(programKey(call.spec), () =>
      compileProgram(call.spec, {
        threads: this.#threads,
        profileFilePrefix: this.#profileFilePrefix,
        provider: this.#provider,
        weights: this.base.weights,
        cache: this.#cache,
      }),
    );
    return program.run(this.#weights, call);
  }
}

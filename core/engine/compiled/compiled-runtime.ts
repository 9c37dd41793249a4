import os from 'node:os';
import type { BaseModel } from '../../models/base-model.ts';
import type { EngineCache } from '../cache/engine-cache.ts';
import type { BoundCall } from '../call/bind-call.ts';
import { ProgramRuntime, type ProgramOutputs } from '../call/program-runtime.ts';
import type { ProgramSpec } from '../decoder/program-spec.ts';
import { CPU_PROVIDER, type ExecutionProvider } from '../devices/execution-provider.ts';
import type { RoundedWeights } from '../int8/rounding/rounded-weights.ts';
import { BoundWeights } from './bound-weights.ts';
import { compileProgram, type CompiledProgram } from './compiled-program.ts';
import { ProgramCache } from './program-cache.ts';

export interface CompiledRuntimeOptions {
  /** Threads of one operator; default: the number of CPUs. */
  readonly threads?: number;
  /**
   * Number of programs kept compiled; the one used longest ago is dropped first. Default: 32, or 2 (one that evaluates and
   * one that trains) where each program keeps the base's weights on its device.
   */
  readonly maxPrograms?: number;
  /** Makes ONNX Runtime profile every session into a JSON file of this path with a time stamp, complete on `dispose`. */
  readonly profileFilePrefix?: string;
  /** Default: the CPU's. */
  readonly provider?: ExecutionProvider | undefined;
  /** The base in 8 bits, for a provider that multiplies in them. It belongs to the caller. Default: none. */
  readonly rounded?: RoundedWeights | undefined;
  /** See `Runtime`. Default: no limit. */
  readonly activationBytes?: number | undefined;
  /** Keeps encoded graphs for later processes. Default: none. */
  readonly cache?: EngineCache | null | undefined;
}

/**
 * Runs programs as graphs on one of ONNX Runtime's execution providers. Each kind and parameterization is compiled on its
 * first use, and batches of all sizes share it. On the CPU the base's weights are bound without a copy and shared by all
 * programs. ONNX Runtime blocks the event loop while it computes.
 */
export class CompiledRuntime extends ProgramRuntime {
  readonly name = 'compiled';
  protected readonly fewPrograms: boolean;
  readonly #compile: (spec: ProgramSpec) => Promise<CompiledProgram>;
  readonly #weights: BoundWeights;
  readonly #programs: ProgramCache<CompiledProgram>;
  /** Ends with the latest call: calls share output buffers and sessions, so they run one after the other. */
  #latest: Promise<unknown> = Promise.resolve();

  constructor(base: BaseModel, options: CompiledRuntimeOptions = {}) {
    const { threads = os.availableParallelism(), provider = CPU_PROVIDER, profileFilePrefix, cache } = options;
    super(base, provider.name, options.activationBytes);
    this.fewPrograms = provider.keepsWeights;
    const { maxPrograms = provider.keepsWeights ? 2 : 32, rounded } = options;
    this.#compile = (spec) =>
      compileProgram(spec, { threads, provider, profileFilePrefix, cache, weights: base.weights });
    this.#programs = new ProgramCache(maxPrograms);
    this.#weights = new BoundWeights(provider.keepsWeights ? new Map() : base.weights, rounded);
  }

  /** Number of programs that are compiled at the moment. */
  get programs(): number {
    return this.#programs.size;
  }

  async dispose(): Promise<void> {
    await this.#latest;
    await this.#programs.clear();
    this.#weights.release();
  }

  /** Lets go of the matrices in 8 bits that only gradients are computed with, until they are needed again. */
  async releaseBackward(): Promise<void> {
    await this.#latest;
    this.#weights.release('backward');
  }

  protected run(call: BoundCall): Promise<ProgramOutputs> {
    const run = this.#latest.then(async () => {
      const program = await this.#programs.get(programKey(call.spec), () => this.#compile(call.spec));
      return program.run(this.#weights, call);
    });
    this.#latest = run.catch(() => undefined);
    return run;
  }
}

/** Equal for calls on one base that can share a program: their adapters have the same modules with equal ranks and kinds. */
export function programKey({ modules, ...spec }: ProgramSpec): string {
  const { kind, dropout, repeats, attentionBlocks, labelBlocks, recompute } = spec;
  const adapted = [...modules].map(([module, { rank, dora }]) => `${module}:${rank}${dora ? ':dora' : ''}`).join();
  return [kind, dropout, repeats, attentionBlocks, labelBlocks, recompute, adapted].join('|');
}

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
import { ProgramPool } from './program-pool.ts';
import type { TracingThread } from '../tracer/tracing-thread.ts';

export interface CompiledRuntimeOptions {
  /** Number of threads of one operator; default: the number of CPUs. */
  readonly threads?: number;
  /**
   * Largest number of compiled programs that are kept; the least recently used one is dropped first. Default: 32, or 2
   * (one for evaluation and one for training) if each program keeps the base's weights on its device.
   */
  readonly maxPrograms?: number;
  /**
   * Path prefix for profiles: ONNX Runtime profiles every session into a JSON file with a time stamp, complete on
   * `dispose`.
   */
  readonly profileFilePrefix?: string;
  /** Execution provider of ONNX Runtime that runs the programs. Default: the CPU's. */
  readonly provider?: ExecutionProvider | undefined;
  /** Matrices of the base rounded to 8 bits, for a provider with int8 products. The caller owns them. Default: none. */
  readonly rounded?: RoundedWeights | undefined;
  /** Memory for activations in bytes, as in `Runtime`. Default: no limit. */
  readonly activationBytes?: number | undefined;
  /** Cache of encoded graphs for later processes. Default: none. */
  readonly cache?: EngineCache | null | undefined;
  /** Pool of programs that runtimes share if no program keeps a base's weights. Default: a pool of its own. */
  readonly pool?: ProgramPool | undefined;
  /** Thread that traces programs. Default: programs are traced in the calling thread. */
  readonly tracer?: TracingThread | undefined;
}

/**
 * Difference up to which two logits count as equal when matrices are in 8 bits. A difference in the last bit of a
 * float32 value may round an activation to the next of its 255 levels, and later layers carry that on. Between a pass
 * over one text and a pass over six texts, the distance of the two largest logits differed by 0.06 in the median and by
 * 0.59 in 1 of 100 tokens (SmolLM2-135M, 491 tokens). Where the two logits changed places, they were at most 0.32
 * apart.
 */
const INT8_ROUNDING = 0.5;

/**
 * Runs programs as graphs on one of ONNX Runtime's execution providers. Each kind and parameterization of a program is
 * compiled at its first use and then serves batches of all sizes. On the CPU the base's weights are bound without a
 * copy and shared by all programs. ONNX Runtime blocks the event loop while it computes.
 */
export class CompiledRuntime extends ProgramRuntime {
  readonly name = 'compiled';
  readonly #compile: (spec: ProgramSpec) => Promise<CompiledProgram>;
  readonly #weights: BoundWeights;
  readonly #pool: ProgramPool;
  /** Name under which the pool has registered this base's config. */
  readonly #config: string;
  /**
   * Execution provider, precision and threads as text: the part of a program's key that tells apart the runtimes
   * sharing a pool.
   */
  readonly #kind: string;

  constructor(base: BaseModel, options: CompiledRuntimeOptions = {}) {
    const { threads = os.availableParallelism(), provider = CPU_PROVIDER, profileFilePrefix, cache, tracer } = options;
    super(base, provider.name, options.activationBytes);
    const { keepsWeights } = provider;
    this.fewPrograms = keepsWeights;
    if (options.rounded) this.logitRounding = INT8_ROUNDING;
    const { maxPrograms = keepsWeights ? 2 : 32, rounded } = options;
    this.#compile = (spec) =>
      compileProgram(spec, { threads, provider, profileFilePrefix, cache, tracer, weights: base.weights });
    this.#pool = (keepsWeights ? undefined : options.pool) ?? new ProgramPool(maxPrograms);
    this.#config = this.#pool.join(base.config);
    this.#kind = `${provider.name} ${provider.precision} ${threads}`;
    this.#weights = new BoundWeights(keepsWeights ? new Map() : base.weights, rounded);
  }

  /** Number of currently compiled programs. */
  get programs(): number {
    return this.#pool.size;
  }

  async dispose(): Promise<void> {
    await this.#pool.leave(this.#config);
    this.#weights.release();
  }

  /** Releases the int8 matrices that only gradients use, until they are needed again. */
  async releaseBackward(): Promise<void> {
    await this.#pool.idle();
    this.#weights.release('backward');
  }

  protected run(call: BoundCall): Promise<ProgramOutputs> {
    return this.#pool.run(
      { config: this.#config, key: `${this.#kind} ${programKey(call.spec)}` },
      () => this.#compile(call.spec),
      (program) => program.run(this.#weights, call),
    );
  }
}

/**
 * Key of a program. Calls on one base share a program if their adapters have the same modules with equal ranks and
 * kinds.
 */
export function programKey({ modules, ...spec }: ProgramSpec): string {
  const { kind, dropout, repeats, attentionBlocks, labelBlocks, targets, recompute } = spec;
  const adapted = [...modules].map(([module, { rank, dora }]) => `${module}:${rank}${dora ? ':dora' : ''}`).join();
  return [kind, dropout, repeats, attentionBlocks, labelBlocks, targets, recompute, adapted].join('|');
}

import * as ort from './onnx-runtime.ts';
import type { BaseModel } from '../../models/base-model.ts';
import type { EngineCache } from '../cache/engine-cache.ts';
import { graphKey } from '../cache/graph-key.ts';
import type { BoundCall } from '../call/bind-call.ts';
import type { ProgramOutputs } from '../call/program-runtime.ts';
import { parameterInputs, tokenInputs, type ProgramInput, type ProgramSpec } from '../decoder/program-spec.ts';
import { CPU_PROVIDER, type ExecutionProvider } from '../devices/execution-provider.ts';
import { elementCount } from '../graph/graph.ts';
import type { SplitModel } from '../onnx/encode-model.ts';
import type { TracingThread } from '../tracer/tracing-thread.ts';
import type { BoundWeights } from './bound-weights.ts';
import { createSession, modelFor } from './create-session.ts';

export interface CompileOptions {
  readonly threads: number;
  readonly profileFilePrefix?: string | undefined;
  /** Execution provider of ONNX Runtime that runs the program. Default: the CPU's. */
  readonly provider?: ExecutionProvider | undefined;
  /** Weights of the base, which become part of the session if the provider keeps them on its device. */
  readonly weights: BaseModel['weights'];
  /** Cache of encoded graphs. Default: none. */
  readonly cache?: EngineCache | null | undefined;
  /** Thread that traces programs. Default: programs are traced in this thread. */
  readonly tracer?: TracingThread | undefined;
}

/** Compiles a program. If the cache holds its graph, neither tracing nor loading tfjs is needed. */
export async function compileProgram(spec: ProgramSpec, options: CompileOptions): Promise<CompiledProgram> {
  const { provider = CPU_PROVIDER, weights, cache, tracer, ...others } = options;
  const trace = async (): Promise<SplitModel> => {
    const traced = await tracer?.take({ spec, provider });
    if (traced) return { model: traced, externalData: [] };
    const { traceProgram } = await import('../tracer/trace-program.ts');
    return modelFor(provider, traceProgram(spec), provider.keepsWeights ? arraysOf(weights) : new Map());
  };
  const create = async (model: SplitModel) =>
    new CompiledProgram(await createSession(model, { ...others, provider }), spec);
  // A graph that holds the base's weights is as large as they are, so it is not cached.
  if (!cache || provider.keepsWeights) return create(await trace());
  const key = graphKey(spec, provider);
  const known = await cache.read(key);
  if (known) return create({ model: known, externalData: [] });
  const traced = await trace();
  // Write to the disk while the session is created.
  const kept = traced.externalData.length === 0 ? cache.write(key, traced.model) : undefined;
  const program = await create(traced);
  await kept;
  return program;
}

function arraysOf(weights: BaseModel['weights']): Map<string, Float32Array> {
  return new Map([...weights].map(([name, { data }]) => [name, data]));
}

/** A program's session. Output buffers of known size are allocated once and reused. */
export class CompiledProgram {
  readonly #session: ort.InferenceSession;
  /**
   * Names of the program's inputs, sorted so that the inputs made from one weight are adjacent and the weight is read
   * once for all of them.
   */
  readonly #inputNames: readonly string[];
  readonly #spec: ProgramSpec;
  readonly #parameters: readonly ProgramInput[];
  readonly #outputs: Readonly<Record<string, ort.Tensor | null>>;

  constructor(session: ort.InferenceSession, spec: ProgramSpec) {
    this.#session = session;
    this.#inputNames = session.inputNames.toSorted();
    this.#spec = spec;
    this.#parameters = parameterInputs(spec);
    this.#outputs = Object.fromEntries(session.outputMetadata.map((output) => [output.name, outputBuffer(output)]));
  }

  get outputNames(): readonly string[] {
    return Object.keys(this.#outputs);
  }

  async run(weights: BoundWeights, { data, sizes }: BoundCall): Promise<ProgramOutputs> {
    const inputs = new Map(
      [...this.#parameters, ...tokenInputs(this.#spec, sizes)].map((input) => [input.name, input]),
    );
    const feeds: Record<string, ort.Tensor> = {};
    for (const name of this.#inputNames) {
      const [values, input] = [data.get(name), inputs.get(name)];
      // The tensor uses the caller's array without a copy.
      const bound = values && input && new ort.Tensor(input.type as 'float32', values as Float32Array, input.shape);
      const tensor = bound ?? (await weights.get(name));
      if (!tensor) throw new Error(`nothing is bound to the compiled program's input ${name}`);
      feeds[name] = tensor;
    }
    const outputs = await this.#session.run(feeds, this.#outputs);
    return (name) => {
      const output = outputs[name];
      if (!output) throw new Error(`the compiled program has no output ${name}`);
      return (output.data as Float32Array).slice();
    };
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}

/**
 * Allocates the buffer that receives an output in every run. Returns null for an output whose size differs from run to
 * run; ONNX Runtime then allocates its memory itself.
 */
function outputBuffer(output: ort.InferenceSession.ValueMetadata): ort.Tensor | null {
  const shape = output.isTensor ? output.shape.filter((size) => typeof size === 'number') : [];
  if (!output.isTensor || shape.length < output.shape.length) return null;
  return new ort.Tensor('float32', new Float32Array(elementCount(shape)), shape);
}

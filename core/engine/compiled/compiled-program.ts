import * as ort from './onnx-runtime.ts';
import type { BaseModel } from '../../models/base-model.ts';
import { programInputs, type ProgramInput, type ProgramSpec } from '../decoder/program-spec.ts';
import type { BoundCall } from '../call/bind-call.ts';
import type { BoundWeights } from './bound-weights.ts';
import { createSession, modelFor } from './create-session.ts';
import { CPU_PROVIDER, type ExecutionProvider } from '../devices/execution-provider.ts';
import type { EngineCache } from '../cache/engine-cache.ts';
import { graphKey } from '../cache/graph-key.ts';
import type { SplitModel } from '../onnx/encode-model.ts';
import { sizeOf } from '../graph/graph.ts';

export interface CompileOptions {
  readonly threads: number;
  readonly profileFilePrefix?: string | undefined;
  /** The provider that runs the graph, and what it is rewritten to for it. Default: the CPU. */
  readonly provider?: ExecutionProvider | undefined;
  /** The base's, for a provider whose sessions keep them. */
  readonly weights: BaseModel['weights'];
  /** Where encoded graphs are kept. Default: nowhere. */
  readonly cache?: EngineCache | null | undefined;
}

/**
 * Makes an ONNX Runtime session of a program, which is traced unless the cache holds its graph: tfjs is loaded only then.
 */
export async function compileProgram(spec: ProgramSpec, options: CompileOptions): Promise<CompiledProgram> {
  const { provider = CPU_PROVIDER, weights, cache, ...others } = options;
  const trace = async (): Promise<SplitModel> => {
    const { traceProgram } = await import('../tracer/trace-program.ts');
    return modelFor(provider, traceProgram(spec), provider.keepsWeights ? arraysOf(weights) : new Map());
  };
  // A graph that keeps the base's weights is as large as they are, and is made anew.
  const model =
    cache && !provider.keepsWeights ? await cachedModel(cache, graphKey(spec, provider), trace) : await trace();
  return new CompiledProgram(await createSession(model, { ...others, provider }), spec);
}

async function cachedModel(cache: EngineCache, key: string, trace: () => Promise<SplitModel>): Promise<SplitModel> {
  const known = await cache.read(key);
  if (known) return { model: known, externalData: [] };
  const traced = await trace();
  if (traced.externalData.length === 0) await cache.write(key, traced.model);
  return traced;
}

function arraysOf(weights: BaseModel['weights']): Map<string, Float32Array> {
  return new Map([...weights].map(([name, { data }]) => [name, data]));
}

/** A session with its inputs and outputs; buffers of outputs whose size is known are allocated once and reused. */
export class CompiledProgram {
  readonly #session: ort.InferenceSession;
  /** Those of one weight are next to each other, so that it is read once for all of them. */
  readonly #inputNames: readonly string[];
  readonly #spec: ProgramSpec;
  readonly #outputs: Readonly<Record<string, ort.Tensor | null>>;

  constructor(session: ort.InferenceSession, spec: ProgramSpec) {
    this.#session = session;
    this.#inputNames = session.inputNames.toSorted();
    this.#spec = spec;
    this.#outputs = Object.fromEntries(session.outputMetadata.map((output) => [output.name, outputBuffer(output)]));
  }

  get outputNames(): readonly string[] {
    return Object.keys(this.#outputs);
  }

  /** @returns a function that copies an output out, by name */
  async run(weights: BoundWeights, { data, sizes }: BoundCall): Promise<(name: string) => Float32Array> {
    const inputs = new Map(programInputs(this.#spec, sizes).map((input) => [input.name, input]));
    const feeds = this.#inputNames.map((name) => {
      const values = data.get(name);
      const tensor = values ? boundInput(inputs.get(name)!, values) : weights.get(name);
      if (!tensor) throw new Error(`the compiled program has an input ${name} that nothing is bound to`);
      return [name, tensor];
    });
    const outputs = await this.#session.run(Object.fromEntries(feeds), this.#outputs);
    return (name) => (outputs[name]!.data as Float32Array).slice();
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}

/** null: ONNX Runtime allocates what differs from run to run. */
function outputBuffer(output: ort.InferenceSession.ValueMetadata): ort.Tensor | null {
  const shape = output.isTensor ? output.shape.filter((size) => typeof size === 'number') : [];
  if (!output.isTensor || shape.length < output.shape.length) return null;
  return new ort.Tensor('float32', new Float32Array(sizeOf(shape)), shape);
}

/** Wraps the caller's array, whose length must be the input's. */
function boundInput({ type, shape }: ProgramInput, values: Float32Array | Int32Array): ort.Tensor {
  return new ort.Tensor(type as 'float32', values as Float32Array, shape);
}

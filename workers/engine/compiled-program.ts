import * as ort from 'onnxruntime-node';
import type { ModelConfig } from '../models/model-config.ts';
import { decoderProgram, programInputs, type ProgramKind, type ProgramShape } from '../models/decoder/program.ts';
import type { InputData } from './bindings.ts';
import { CPU_TARGET, type Target } from './devices/target.ts';
import { encodeModel } from './onnx/encode-model.ts';
import { sizeOf, type Graph, type ValueInfo } from './tracer/graph.ts';
import { trace } from './tracer/trace.ts';

export interface CompileOptions {
  readonly config: ModelConfig;
  readonly kind: ProgramKind;
  readonly shape: ProgramShape;
  readonly threads: number;
  readonly profileFilePrefix?: string | undefined;
  /** The provider that runs the graph, and what it is rewritten to for it. Default: the CPU. */
  readonly target?: Target | undefined;
}

/**
 * No arena: every session would keep its own peak of activations, while the process heap is shared by all of them at
 * the same speed. No spinning: each session has its own threads, which would burn the cores of the next one's run (with
 * four sessions in turn on two busy cores a step took four times as long).
 */
const SESSION_OPTIONS: ort.InferenceSession.SessionOptions = {
  executionMode: 'sequential',
  graphOptimizationLevel: 'all',
  enableMemPattern: false,
  enableCpuMemArena: false,
  extra: { session: { intra_op: { allow_spinning: '0' } } },
};

/** Traces a program and makes an ONNX Runtime session of it. */
export async function compileProgram(options: CompileOptions): Promise<CompiledProgram> {
  const { config, kind, shape, threads, profileFilePrefix, target = CPU_TARGET } = options;
  const graph = target.rewrite(trace(decoderProgram(config, kind, shape), programInputs(config, kind, shape)));
  const session = await ort.InferenceSession.create(encodeModel(graph), {
    ...SESSION_OPTIONS,
    executionProviders: [target.provider],
    intraOpNumThreads: threads,
    ...(profileFilePrefix && { enableProfiling: true, profileFilePrefix }),
  });
  return new CompiledProgram(session, graph);
}

/** A session with the shapes of its inputs and outputs; output buffers are allocated once and reused. */
export class CompiledProgram {
  readonly #session: ort.InferenceSession;
  readonly #inputs: readonly ValueInfo[];
  readonly #outputs: Readonly<Record<string, ort.Tensor>>;

  constructor(session: ort.InferenceSession, graph: Graph) {
    this.#session = session;
    this.#inputs = graph.inputs;
    const buffers = graph.outputs.map(({ name, shape }) => [name, outputBuffer(shape)] as const);
    this.#outputs = Object.fromEntries(buffers);
  }

  /** @returns a function that copies an output out, by name */
  async run(weights: ReadonlyMap<string, ort.Tensor>, data: InputData): Promise<(name: string) => Float32Array> {
    const feeds = this.#inputs.map((input) => [input.name, weights.get(input.name) ?? boundInput(input, data)]);
    await this.#session.run(Object.fromEntries(feeds), this.#outputs);
    return (name) => (this.#outputs[name]!.data as Float32Array).slice();
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}

function outputBuffer(shape: readonly number[]): ort.Tensor {
  return new ort.Tensor('float32', new Float32Array(sizeOf(shape)), shape);
}

/** Wraps the caller's array, whose length must be the input's. */
function boundInput({ name, shape, type }: ValueInfo, data: InputData): ort.Tensor {
  const values = data.get(name);
  if (!values) throw new Error(`the compiled program has an input ${name} that nothing is bound to`);
  return new ort.Tensor(type as 'float32' | 'int32', values as Float32Array, shape);
}

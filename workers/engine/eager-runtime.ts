import * as tf from '@tensorflow/tfjs';
import type { Adapter } from '../models/adapter.ts';
import type { BaseModel } from '../models/base-model.ts';
import { decoderProgram, programInputs, type ProgramInput, type ProgramKind } from '../models/decoder/program.ts';
import { bindCall, checkCall, gradientResult, type InputData, type ProgramCall } from './bindings.ts';
import type { Batch, Dropout, GradientResult, Runtime } from './runtime.ts';
import { selectBackend } from './select-backend.ts';

type Outputs = (name: string) => Float32Array;

/** Runs the program op by op on a backend of tfjs. On `cpu` it is slow, and the reference for everything else. */
export class EagerRuntime implements Runtime {
  readonly name = 'eager';
  readonly base: BaseModel;
  readonly #backend: string;
  readonly #weights = new Map<string, tf.Tensor>();

  /** @param backend tfjs' name of it; one other than `cpu` has to be loaded already */
  constructor(base: BaseModel, backend = 'cpu') {
    this.base = base;
    this.#backend = backend;
    selectBackend(backend);
    for (const [name, { data, shape }] of base.weights) this.#weights.set(name, tf.tensor(data, [...shape], 'float32'));
  }

  async labelLosses(adapter: Adapter | null, batch: Batch): Promise<Float32Array> {
    return this.#run('labelLosses', { adapter, batch })('losses');
  }

  async gradients(adapter: Adapter, batch: Batch, gradientScale: number, dropout?: Dropout): Promise<GradientResult> {
    return gradientResult(adapter, this.#run('gradients', { adapter, batch, gradientScale, dropout }));
  }

  async logits(adapter: Adapter | null, batch: Batch): Promise<Float32Array> {
    return this.#run('logits', { adapter, batch })('logits');
  }

  async dispose(): Promise<void> {
    for (const tensor of this.#weights.values()) tensor.dispose();
    this.#weights.clear();
  }

  #run(kind: ProgramKind, call: Omit<ProgramCall, 'gradientScale'> & Partial<ProgramCall>): Outputs {
    const { adapter, batch, gradientScale = 1, dropout } = call;
    checkCall(this.base, adapter, batch);
    selectBackend(this.#backend);
    const { spec, data, sizes } = bindCall(this.base, kind, { adapter, batch, gradientScale, dropout });
    const results = new Map<string, Float32Array>();
    tf.tidy(() => {
      const inputs = programInputs(spec, sizes).map((input) => [input.name, this.#tensor(input, data)]);
      const outputs = decoderProgram(spec)(Object.fromEntries(inputs));
      for (const [name, tensor] of Object.entries(outputs)) results.set(name, tensor.dataSync<'float32'>());
    });
    return (name) => results.get(name)!;
  }

  /** Inputs are copied: the cpu backend keeps the arrays it is given, and callers go on writing to theirs. */
  #tensor({ name, shape, type }: ProgramInput, data: InputData): tf.Tensor {
    return this.#weights.get(name) ?? tf.tensor(data.get(name)!.slice(), [...shape], type);
  }
}

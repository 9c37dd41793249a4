import * as tf from '@tensorflow/tfjs';
import type { BaseModel } from '../../models/base-model.ts';
import type { BoundCall } from '../call/bind-call.ts';
import type { ProgramOutputs } from '../call/program-runtime.ts';
import { decoderProgram } from '../decoder/program.ts';
import { programInputs, type ProgramInput } from '../decoder/program-spec.ts';
import { selectBackend } from './select-backend.ts';

/** A base's weights as tensors of a tfjs backend, and the programs that compute with them. */
export class EagerProgram {
  readonly #backend: string;
  readonly #weights = new Map<string, tf.Tensor>();

  /** @param backend tfjs' name of the backend; any except `cpu` must have been loaded before */
  constructor(weights: BaseModel['weights'], backend: string) {
    this.#backend = backend;
    selectBackend(backend);
    for (const [name, { data, shape }] of weights) this.#weights.set(name, tf.tensor(data, [...shape], 'float32'));
  }

  run({ spec, data, sizes }: BoundCall): ProgramOutputs {
    selectBackend(this.#backend);
    const results = new Map<string, Float32Array>();
    tf.tidy(() => {
      const inputs = programInputs(spec, sizes).map((input) => [input.name, this.#tensor(input, data)]);
      const outputs = decoderProgram(spec)(Object.fromEntries(inputs));
      for (const [name, tensor] of Object.entries(outputs)) results.set(name, tensor.dataSync<'float32'>());
    });
    return (name) => required(results, name);
  }

  dispose(): void {
    for (const tensor of this.#weights.values()) tensor.dispose();
    this.#weights.clear();
  }

  /**
   * Returns the tensor of a program's input. The arrays of a call are copied, because tfjs' `cpu` backend keeps the
   * arrays it is given and callers overwrite theirs later.
   */
  #tensor({ name, shape, type }: ProgramInput, data: BoundCall['data']): tf.Tensor {
    return this.#weights.get(name) ?? tf.tensor(required(data, name).slice(), [...shape], type);
  }
}

function required<T>(arrays: ReadonlyMap<string, T>, name: string): T {
  const found = arrays.get(name);
  if (!found) throw new Error(`the eager program has no array ${name}`);
  return found;
}

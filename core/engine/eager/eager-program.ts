import * as tf from '@tensorflow/tfjs';
import type { BaseModel } from '../../models/base-model.ts';
import { decoderProgram } from '../decoder/program.ts';
import { programInputs, type ProgramInput } from '../decoder/program-spec.ts';
import type { BoundCall, InputData } from '../call/bind-call.ts';
import { selectBackend } from './select-backend.ts';

/** A base's weights on a backend of tfjs, and the program over them. */
export class EagerProgram {
  readonly #backend: string;
  readonly #weights = new Map<string, tf.Tensor>();

  /** @param backend tfjs' name of it; one other than `cpu` has to be loaded already */
  constructor(weights: BaseModel['weights'], backend: string) {
    this.#backend = backend;
    selectBackend(backend);
    for (const [name, { data, shape }] of weights) this.#weights.set(name, tf.tensor(data, [...shape], 'float32'));
  }

  /** @returns every output, by name */
  run({ spec, data, sizes }: BoundCall): ReadonlyMap<string, Float32Array> {
    selectBackend(this.#backend);
    const results = new Map<string, Float32Array>();
    tf.tidy(() => {
      const inputs = programInputs(spec, sizes).map((input) => [input.name, this.#tensor(input, data)]);
      const outputs = decoderProgram(spec)(Object.fromEntries(inputs));
      for (const [name, tensor] of Object.entries(outputs)) results.set(name, tensor.dataSync<'float32'>());
    });
    return results;
  }

  dispose(): void {
    for (const tensor of this.#weights.values()) tensor.dispose();
    this.#weights.clear();
  }

  /** Inputs are copied: the cpu backend keeps the arrays it is given, and callers go on writing to theirs. */
  #tensor({ name, shape, type }: ProgramInput, data: InputData): tf.Tensor {
    return this.#weights.get(name) ?? tf.tensor(data.get(name)!.slice(), [...shape], type);
  }
}

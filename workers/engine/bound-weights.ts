import * as ort from 'onnxruntime-node';
import type { BaseModel } from '../models/base-model.ts';
import { int8Input, int8Inputs, quantise } from './int8-weights.ts';

/** A base's weights as inputs of sessions: the arrays themselves, and in 8 bits what a graph asks for by that name. */
export class BoundWeights {
  readonly #weights: BaseModel['weights'];
  readonly #tensors = new Map<string, ort.Tensor>();

  constructor(weights: BaseModel['weights']) {
    this.#weights = weights;
  }

  /** undefined for a name that is none of a weight. */
  get(name: string): ort.Tensor | undefined {
    const known = this.#tensors.get(name);
    if (known) return known;
    const weight = this.#weights.get(name);
    if (weight) this.#tensors.set(name, new ort.Tensor('float32', weight.data, weight.shape));
    else this.#quantise(name);
    return this.#tensors.get(name);
  }

  #quantise(name: string): void {
    const input = int8Input(name);
    const weight = input && this.#weights.get(input.weight);
    if (!weight) return;
    const { shape, integers, scales } = quantise(weight, input);
    const names = int8Inputs(input.weight, input);
    this.#tensors.set(names.matrix, new ort.Tensor('int8', integers, shape));
    this.#tensors.set(names.scales, new ort.Tensor('float32', scales, [shape[1]]));
  }
}

import * as ort from 'onnxruntime-node';
import type { BaseModel } from '../models/base-model.ts';
import { int8InputName, parseInt8Input, type Int8Input } from './int8/inputs.ts';
import { quantise, scaledTranspose, type Smoothing } from './int8/int8-matrix.ts';

/** A base's weights as inputs of sessions: the arrays themselves, and in 8 bits what a graph asks for by that name. */
export class BoundWeights {
  readonly #weights: BaseModel['weights'];
  readonly #smoothing: Smoothing;
  readonly #tensors = new Map<string, ort.Tensor>();

  constructor(weights: BaseModel['weights'], smoothing: Smoothing = new Map()) {
    this.#weights = weights;
    this.#smoothing = smoothing;
  }

  /** undefined for a name that is none of a weight. */
  get(name: string): ort.Tensor | undefined {
    const known = this.#tensors.get(name);
    if (known) return known;
    const int8 = parseInt8Input(name);
    const weight = this.#weights.get(int8?.weight ?? name);
    if (weight && int8) this.#addInt8(int8);
    else if (weight) this.#tensors.set(name, new ort.Tensor('float32', weight.data, weight.shape));
    return this.#tensors.get(name);
  }

  #addInt8({ weight, part }: Int8Input): void {
    const tensor = this.#weights.get(weight)!;
    const factors = this.#smoothing.get(weight) ?? new Float32Array(tensor.shape[1]!).fill(1);
    const add = (name: Int8Input['part'], value: ort.Tensor) => this.#tensors.set(int8InputName({ weight, part: name }), value);
    if (part === 'smoothing') {
      add(part, new ort.Tensor('float32', factors.map((factor) => 1 / factor), [factors.length]));
      return;
    }
    const transposed = part.endsWith('_transposed');
    const { shape, integers, scales } = quantise(transposed ? scaledTranspose(tensor, factors) : tensor);
    add(transposed ? 'matrix_transposed' : 'matrix', new ort.Tensor('int8', integers, shape));
    add(transposed ? 'scales_transposed' : 'scales', new ort.Tensor('float32', scales, [scales.length]));
  }
}

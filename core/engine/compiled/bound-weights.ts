import * as ort from 'onnxruntime-node';
import type { BaseModel } from '../../models/base-model.ts';
import { int8InputName, parseInt8Input, type Int8Input } from '../int8/inputs.ts';
import { quantize, quantizeTransposed, type Smoothing } from '../int8/int8-matrix.ts';

/** A base's weights as inputs of sessions: the arrays themselves, and rounded to 8 bits where a graph asks for that. */
export class BoundWeights {
  readonly #weights: BaseModel['weights'];
  readonly #smoothing: Smoothing;
  readonly #tensors = new Map<string, ort.Tensor>();

  constructor(weights: BaseModel['weights'], smoothing: Smoothing = new Map()) {
    this.#weights = weights;
    this.#smoothing = smoothing;
  }

  /** Returns undefined for an input that is not made from a weight. */
  get(name: string): ort.Tensor | undefined {
    const known = this.#tensors.get(name);
    if (known) return known;
    const int8 = parseInt8Input(name);
    if (int8) this.#addInt8(int8);
    else this.#addFloat32(name);
    return this.#tensors.get(name);
  }

  #addFloat32(name: string): void {
    const weight = this.#weights.get(name);
    if (weight) this.#tensors.set(name, new ort.Tensor('float32', weight.data, weight.shape));
  }

  /** Adds all inputs of the same product at once, so that the float32 matrix is held only while it is rounded. */
  #addInt8({ weight, part }: Int8Input): void {
    const tensor = this.#weights.get(weight);
    if (!tensor) return;
    const add = (name: Int8Input['part'], value: ort.Tensor) =>
      this.#tensors.set(int8InputName({ weight, part: name }), value);
    const addVector = (name: Int8Input['part'], values: Float32Array) =>
      add(name, new ort.Tensor('float32', values, [values.length]));
    if (part === 'smoothing' || part.endsWith('_transposed')) {
      const factors = this.#smoothing.get(weight) ?? new Float32Array(tensor.shape.at(-1) ?? 0).fill(1);
      const { shape, integers, scales } = quantizeTransposed(tensor, factors);
      add('matrix_transposed', new ort.Tensor('int8', integers, shape));
      addVector('scales_transposed', scales);
      const divisors = factors.map((factor) => 1 / factor);
      addVector('smoothing', divisors);
    } else {
      const { shape, integers, scales } = quantize(tensor);
      add('matrix', new ort.Tensor('int8', integers, shape));
      addVector('scales', scales);
    }
  }
}

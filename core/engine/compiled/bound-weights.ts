import * as ort from './onnx-runtime.ts';
import type { BaseModel } from '../../models/base-model.ts';
import { int8InputName, parseInt8Input, type Int8Input } from '../int8/inputs.ts';
import { quantize, quantizeTransposed, type Smoothing } from '../int8/int8-matrix.ts';

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
    if (int8) this.#addInt8(int8);
    else this.#addFloat32(name);
    return this.#tensors.get(name);
  }

  #addFloat32(name: string): void {
    const weight = this.#weights.get(name);
    if (weight) this.#tensors.set(name, new ort.Tensor('float32', weight.data, weight.shape));
  }

  /** All inputs of the same product at once: the float32 matrix is held only while it is rounded. */
  #addInt8({ weight, part }: Int8Input): void {
    const tensor = this.#weights.get(weight);
    if (!tensor) return;
    const factors = this.#smoothing.get(weight) ?? new Float32Array(tensor.shape[1]!).fill(1);
    const add = (name: Int8Input['part'], value: ort.Tensor) =>
      this.#tensors.set(int8InputName({ weight, part: name }), value);
    const transposed = part === 'smoothing' || part.endsWith('_transposed');
    const { shape, integers, scales } = transposed ? quantizeTransposed(tensor, factors) : quantize(tensor);
    add(transposed ? 'matrix_transposed' : 'matrix', new ort.Tensor('int8', integers, shape));
    add(transposed ? 'scales_transposed' : 'scales', new ort.Tensor('float32', scales, [scales.length]));
    if (transposed)
      add(
        'smoothing',
        new ort.Tensor(
          'float32',
          factors.map((factor) => 1 / factor),
          [factors.length],
        ),
      );
  }
}

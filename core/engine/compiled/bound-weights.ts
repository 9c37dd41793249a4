import * as ort from './onnx-runtime.ts';
import type { BaseModel } from '../../models/base-model.ts';
import { int8InputName, parseInt8Input, type Int8Input } from '../int8/inputs.ts';
import type { Direction } from '../int8/rounding/int8-matrix.ts';
import type { RoundedWeights } from '../int8/rounding/rounded-weights.ts';

/**
 * A base's weights as input tensors of ONNX Runtime sessions: the float32 arrays themselves and, for graphs that
 * compute in int8, matrices rounded to 8 bits.
 */
export class BoundWeights {
  readonly #weights: BaseModel['weights'];
  readonly #rounded: Pick<RoundedWeights, 'form' | 'get' | 'divisorsOf'> | null;
  readonly #tensors = new Map<string, ort.Tensor>();

  /** @param rounded the same weights in 8 bits, owned by the caller; default: none */
  constructor(
    weights: BaseModel['weights'],
    rounded: Pick<RoundedWeights, 'form' | 'get' | 'divisorsOf'> | null = null,
  ) {
    this.#weights = weights;
    this.#rounded = rounded;
  }

  /** Returns the tensor for an input of a graph; undefined if the input holds none of the base's weights. */
  async get(name: string): Promise<ort.Tensor | undefined> {
    const known = this.#tensors.get(name);
    if (known) return known;
    const int8 = parseInt8Input(name);
    if (int8) await this.#addInt8(int8);
    else this.#addFloat32(name);
    return this.#tensors.get(name);
  }

  /**
   * Releases all tensors or, given a direction (forward or backward pass), only the int8 matrices that this pass uses.
   * A released tensor is made again at its next use.
   */
  release(direction?: Direction): void {
    for (const name of [...this.#tensors.keys()]) {
      const part = parseInt8Input(name)?.part;
      if (direction === undefined || (part && directionOf(part) === direction)) this.#tensors.delete(name);
    }
  }

  #addFloat32(name: string): void {
    const weight = this.#weights.get(name);
    if (weight) this.#tensors.set(name, new ort.Tensor('float32', weight.data, weight.shape));
  }

  /** Makes the tensors of an int8 matrix and of its scales. */
  async #addInt8({ weight, part }: Int8Input): Promise<void> {
    const rounded = this.#rounded;
    if (!rounded) return;
    const add = (name: Int8Input['part'], tensor: ort.Tensor) =>
      this.#tensors.set(int8InputName({ weight, part: name }), tensor);
    const vector = (values: Float32Array) => new ort.Tensor('float32', values, [values.length]);
    const direction = directionOf(part);
    if (direction === null) return void add(part, vector(rounded.divisorsOf(weight)));
    const { shape, integers, scales } = await rounded.get(weight, direction);
    const forward = direction === 'forward';
    add(forward ? 'matrix_transposed' : 'matrix', new ort.Tensor(rounded.form.type, integers, shape));
    add(forward ? 'scales_transposed' : 'scales', vector(scales));
  }
}

/**
 * Tells whether an int8 input serves the forward or the backward pass; null for the smoothing divisors, which count for
 * neither.
 */
function directionOf(part: Int8Input['part']): Direction | null {
  if (part === 'smoothing') return null;
  return part.endsWith('_transposed') ? 'forward' : 'backward';
}

import type { Tensor } from '../../models/base-model.ts';
import { FileBackedWeights } from './file-backed-weights.ts';

/**
 * A buffer pool for temporary access to a base's weights. Weights that stay in files are read into released arrays of
 * the same length, because getting memory from the system would take longer than reading.
 */
export class WeightPool {
  readonly #weights: ReadonlyMap<string, Tensor>;
  readonly #used: Float32Array[] = [];
  /**
   * Arrays that no weight is using at the moment, to be reused. Their number for one length is at most the number of
   * weights of that length that were once in use at the same time.
   */
  readonly #free: Float32Array[] = [];

  constructor(weights: ReadonlyMap<string, Tensor>) {
    this.#weights = weights;
  }

  /** Returns a weight, valid until {@link release}; undefined if the base has no weight of that name. */
  acquire(name: string): Tensor | undefined {
    const weights = this.#weights;
    return weights instanceof FileBackedWeights
      ? weights.readUncached(name, (length) => this.#take(length))
      : weights.get(name);
  }

  /** Takes back all acquired weights; their arrays may be overwritten from now on. */
  release(): void {
    this.#free.push(...this.#used.splice(0));
  }

  #take(length: number): Float32Array {
    const fitting = this.#free.findIndex((array) => array.length === length);
    const array = fitting < 0 ? new Float32Array(length) : this.#free.splice(fitting, 1)[0]!;
    this.#used.push(array);
    return array;
  }
}

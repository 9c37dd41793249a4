import type { Tensor } from '../../models/base-model.ts';
import { FileBackedWeights } from './file-backed-weights.ts';

/**
 * Lends a base's weights for a moment each. Weights that lie in files are read into the arrays of weights that were given
 * back: fetching memory from the system would take longer than reading.
 */
export class WeightLoans {
  readonly #weights: ReadonlyMap<string, Tensor>;
  readonly #lent: Float32Array[] = [];
  /** Of each length there are as many as were lent at once. */
  readonly #spare: Float32Array[] = [];

  constructor(weights: ReadonlyMap<string, Tensor>) {
    this.#weights = weights;
  }

  /** Returns a weight, valid until it is given back; undefined where the base has none of that name. */
  borrow(name: string): Tensor | undefined {
    const weights = this.#weights;
    return weights instanceof FileBackedWeights
      ? weights.borrow(name, (length) => this.#lend(length))
      : weights.get(name);
  }

  /** Gives everything back that was borrowed. */
  giveBack(): void {
    this.#spare.push(...this.#lent.splice(0));
  }

  #lend(length: number): Float32Array {
    const fitting = this.#spare.findIndex((array) => array.length === length);
    const array = fitting < 0 ? new Float32Array(length) : this.#spare.splice(fitting, 1)[0]!;
    this.#lent.push(array);
    return array;
  }
}

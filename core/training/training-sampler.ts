import { Random, type RandomState } from '../statistics/random.ts';

export interface SamplerOptions {
  readonly batchSize: number;
  readonly seed: number;
}

/** Position of a sampler in its sequence of batches. Plain JSON, for checkpoints. */
export interface SamplerState {
  /** Number of the current epoch, counted from 0. */
  readonly epoch: number;
  /** Number of batches that were drawn from the current epoch. */
  readonly position: number;
  /**
   * State of the random generator at the start of the current epoch. It determines the order of the epoch's examples.
   */
  readonly random: RandomState;
}

/**
 * Draws batches of training examples without end. Every example occurs once in each epoch, in an order that follows
 * from the seed. The last batch of an epoch may be smaller. A sampler restored from a saved state draws the same
 * batches as one that was never interrupted.
 */
export class TrainingSampler<Example> {
  readonly #examples: readonly Example[];
  readonly #batchSize: number;
  #state: SamplerState;
  #epochEnd: RandomState;
  #order: readonly Example[];

  /** @throws RangeError if there are no examples, or if the batch size is not a positive integer */
  constructor(examples: readonly Example[], { batchSize, seed }: SamplerOptions) {
    if (examples.length === 0) throw new RangeError('there are no training examples, expected at least one');
    if (!Number.isInteger(batchSize) || batchSize < 1) {
      throw new RangeError(`the batch size is ${batchSize}, expected a positive integer`);
    }
    this.#examples = examples;
    this.#batchSize = batchSize;
    this.#state = { epoch: 0, position: 0, random: Random.fromSeed(seed).state() };
    [this.#order, this.#epochEnd] = this.#shuffle(this.#state.random);
  }

  get batchesPerEpoch(): number {
    return Math.ceil(this.#examples.length / this.#batchSize);
  }

  next(): readonly Example[] {
    if (this.#state.position === this.batchesPerEpoch) {
      this.#state = { epoch: this.#state.epoch + 1, position: 0, random: this.#epochEnd };
      [this.#order, this.#epochEnd] = this.#shuffle(this.#state.random);
    }
    const start = this.#state.position * this.#batchSize;
    this.#state = { ...this.#state, position: this.#state.position + 1 };
    return this.#order.slice(start, start + this.#batchSize);
  }

  state(): SamplerState {
    return this.#state;
  }

  /**
   * Continues from the saved state of a sampler with the same number of examples and the same batch size.
   * @throws RangeError if the saved position is not within the epoch
   */
  restore(state: SamplerState): void {
    if (!Number.isInteger(state.position) || state.position < 0 || state.position > this.batchesPerEpoch) {
      const expected = `0 to ${this.batchesPerEpoch}: the data have changed`;
      throw new RangeError(`the sampler's saved position is ${state.position}, expected ${expected}`);
    }
    [this.#order, this.#epochEnd] = this.#shuffle(state.random);
    this.#state = { epoch: state.epoch, position: state.position, random: state.random };
  }

  /**
   * Shuffles all examples by a random generator in the given state. Returns them with the state of the generator
   * afterwards.
   */
  #shuffle(start: RandomState): [Example[], RandomState] {
    const random = Random.fromState(start);
    return [random.shuffle([...this.#examples]), random.state()];
  }
}

/**
 * Returns the indices of all examples that a training of `steps` steps uses, in ascending order.
 * @param count number of examples
 */
export function drawnExamples(
  count: number,
  { steps, ...options }: SamplerOptions & { readonly steps: number },
): readonly number[] {
  const all = [...Array(count).keys()];
  const sampler = new TrainingSampler(all, options);
  if (steps >= sampler.batchesPerEpoch) return all;
  const drawn = Array.from({ length: steps }, () => sampler.next()).flat();
  return drawn.sort((a, b) => a - b);
}

import { Random, type RandomState } from '../statistics/random.ts';

export interface SamplerOptions {
  readonly batchSize: number;
  readonly seed: number;
}

/** Where a sampler stands: plain JSON, for checkpoints. */
export interface SamplerState {
  /** Epoch in progress, from 0. */
  readonly epoch: number;
  /** Batches of the epoch already handed out. */
  readonly position: number;
  /** Generator at the start of the epoch, from which its order follows. */
  readonly random: RandomState;
}

/**
 * Endless training batches: every example exactly once an epoch, in an order that follows from the seed. Where an epoch
 * ends within a batch, the batch is smaller. A sampler restored from a saved state hands out the same batches as one
 * that was never interrupted.
 */
export class TrainingSampler {
  readonly #examples: number;
  readonly #batchSize: number;
  #state: SamplerState;
  #epochEnd: RandomState;
  #order: readonly number[];

  /** @throws RangeError without examples, or for a batch size that is no positive integer */
  constructor(examples: number, { batchSize, seed }: SamplerOptions) {
    if (examples === 0) throw new RangeError('there are no training examples');
    if (!Number.isInteger(batchSize) || batchSize < 1) {
      throw new RangeError(`batch size is ${batchSize}, expected a positive integer`);
    }
    this.#examples = examples;
    this.#batchSize = batchSize;
    this.#state = { epoch: 0, position: 0, random: Random.fromSeed(seed).state() };
    [this.#order, this.#epochEnd] = this.#shuffle(this.#state.random);
  }

  get batchesPerEpoch(): number {
    return Math.ceil(this.#examples / this.#batchSize);
  }

  /** @returns indices of the next batch's examples */
  next(): readonly number[] {
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

  /** Goes on where the state was taken; the examples and the batch size must be the same. */
  restore(state: SamplerState): void {
    if (!Number.isInteger(state.position) || state.position < 0 || state.position > this.batchesPerEpoch) {
      throw new RangeError(
        `position is ${state.position}, expected 0 to ${this.batchesPerEpoch}: was the data changed?`,
      );
    }
    [this.#order, this.#epochEnd] = this.#shuffle(state.random);
    this.#state = { epoch: state.epoch, position: state.position, random: state.random };
  }

  /** An epoch's order, and the generator's state after it. */
  #shuffle(start: RandomState): [number[], RandomState] {
    const random = Random.fromState(start);
    return [random.shuffle([...Array(this.#examples).keys()]), random.state()];
  }
}

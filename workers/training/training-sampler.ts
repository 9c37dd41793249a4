import { Random, type RandomState } from '../models/random.ts';
import { bucketLength, bucketRows, inputLength, makeBatch, type ExampleBatch } from './make-batch.ts';
import type { TokenizedExample } from './example.ts';

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
 * Endless training batches: every example exactly once an epoch, in batches of like length, in an order that follows
 * from the seed. A sampler restored from a saved state hands out the same batches as one that was never interrupted.
 *
 * Within an epoch the examples are shuffled, dealt to length buckets, and cut into full batches; what is left of a
 * bucket moves up to the next longer one (a little padding instead of a partial batch a bucket), so that at most one
 * batch an epoch is partial. Then the batches are shuffled.
 */
export class TrainingSampler {
  readonly #examples: readonly TokenizedExample[];
  readonly #batchSize: number;
  #state: SamplerState;
  #epochEnd: RandomState;
  #plan: readonly (readonly number[])[];

  /** @throws RangeError without examples, or for a batch size that is no positive integer */
  constructor(examples: readonly TokenizedExample[], { batchSize, seed }: SamplerOptions) {
    if (examples.length === 0) throw new RangeError('there are no training examples');
    if (!Number.isInteger(batchSize) || batchSize < 1) {
      throw new RangeError(`batch size is ${batchSize}, expected a positive integer`);
    }
    this.#examples = examples;
    this.#batchSize = batchSize;
    this.#state = { epoch: 0, position: 0, random: Random.fromSeed(seed).state() };
    [this.#plan, this.#epochEnd] = this.#planEpoch(this.#state.random);
  }

  get batchesPerEpoch(): number {
    return this.#plan.length;
  }

  next(): ExampleBatch {
    if (this.#state.position === this.#plan.length) {
      this.#state = { epoch: this.#state.epoch + 1, position: 0, random: this.#epochEnd };
      [this.#plan, this.#epochEnd] = this.#planEpoch(this.#state.random);
    }
    const members = this.#plan[this.#state.position]!;
    this.#state = { ...this.#state, position: this.#state.position + 1 };
    // A partial batch takes the full shape, unless the data never fills one.
    const rows = bucketRows(Math.min(this.#batchSize, this.#examples.length), this.#batchSize);
    return { examples: members, batch: makeBatch(members.map((index) => this.#examples[index]!), { rows }) };
  }

  state(): SamplerState {
    return this.#state;
  }

  /** Goes on where the state was taken; the examples and the batch size must be the same. */
  restore(state: SamplerState): void {
    const [plan, end] = this.#planEpoch(state.random);
    if (!Number.isInteger(state.position) || state.position < 0 || state.position > plan.length) {
      throw new RangeError(`position is ${state.position}, expected 0 to ${plan.length}: was the data changed?`);
    }
    this.#plan = plan;
    this.#epochEnd = end;
    this.#state = { epoch: state.epoch, position: state.position, random: state.random };
  }

  /** The epoch's batches as indices of examples, and the generator's state after it. */
  #planEpoch(start: RandomState): [number[][], RandomState] {
    const random = Random.fromState(start);
    const order = random.shuffle(this.#examples.map((_, index) => index));
    const plan = cutIntoBatches(order, (index) => bucketLength(inputLength(this.#examples[index]!)), this.#batchSize);
    random.shuffle(plan);
    return [plan, random.state()];
  }
}

function cutIntoBatches(order: readonly number[], bucketOf: (index: number) => number, batchSize: number): number[][] {
  const buckets = new Map<number, number[]>();
  for (const index of order) {
    const bucket = bucketOf(index);
    const members = buckets.get(bucket);
    if (members) members.push(index);
    else buckets.set(bucket, [index]);
  }
  const batches: number[][] = [];
  let left: number[] = [];
  for (const bucket of [...buckets.keys()].sort((a, b) => a - b)) {
    const members = [...left, ...buckets.get(bucket)!];
    const full = members.length - (members.length % batchSize);
    for (let at = 0; at < full; at += batchSize) batches.push(members.slice(at, at + batchSize));
    left = members.slice(full);
  }
  if (left.length > 0) batches.push(left);
  return batches;
}

import type { TokenizedExample } from './example.ts';
import { bucketRows, inputLength, makeBatch, type ExampleBatch } from './make-batch.ts';

export { bucketLabels, bucketLength, bucketRows, inputLength, makeBatch } from './make-batch.ts';
export type { BatchShape, ExampleBatch } from './make-batch.ts';
export { TrainingSampler, type SamplerOptions, type SamplerState } from './training-sampler.ts';

/**
 * Batches for evaluation: every example once, sorted by length, longest first, so that the one partial batch is the
 * shortest and memory is at its peak at the start.
 */
export function sortIntoBuckets(
  examples: readonly TokenizedExample[],
  options: { readonly batchSize: number },
): ExampleBatch[] {
  const { batchSize } = options;
  const order = examples.map((_, index) => index);
  order.sort((a, b) => inputLength(examples[b]!) - inputLength(examples[a]!) || a - b);
  const batches: ExampleBatch[] = [];
  for (let at = 0; at < order.length; at += batchSize) {
    const members = order.slice(at, at + batchSize);
    // A lone partial batch at the end takes the full shape: another graph would cost more than empty rows.
    const rows = at > 0 ? batchSize : bucketRows(members.length, batchSize);
    batches.push({ examples: members, batch: makeBatch(members.map((index) => examples[index]!), { rows }) });
  }
  return batches;
}

/**
 * Sums a batch's label losses per example.
 * @param losses [labels], as `Runtime.labelLosses` returns them
 * @returns one sum in nats for each example of the batch, in its order
 */
export function sumByExample({ examples, batch }: ExampleBatch, losses: Float32Array): Float64Array {
  const sums = new Float64Array(examples.length);
  for (let label = 0; label < losses.length; label++) {
    if (batch.labelWeights[label] === 0) continue;
    const row = Math.floor(batch.labelPositions[label]! / batch.length);
    sums[row] = sums[row]! + losses[label]!;
  }
  return sums;
}

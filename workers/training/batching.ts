import type { TokenizedExample } from './example.ts';
import { inputLength, labelSequences, makeBatch, type ExampleBatch } from './make-batch.ts';

/**
 * Cuts examples into runs, in order, each of at most `maxTokens` input tokens and `maxExamples` examples; an example
 * with more tokens is alone.
 * @returns indices into the list
 */
export function cutByTokens(
  examples: readonly TokenizedExample[],
  { maxTokens, maxExamples = Infinity }: { readonly maxTokens: number; readonly maxExamples?: number },
): number[][] {
  const runs: number[][] = [];
  let room = 0;
  examples.forEach((example, index) => {
    const tokens = inputLength(example);
    const run = runs.at(-1);
    if (run && tokens <= room && run.length < maxExamples) run.push(index);
    else {
      runs.push([index]);
      room = maxTokens;
    }
    room -= tokens;
  });
  return runs;
}

/**
 * Batches for evaluation: every example once, sorted by length, longest first, so that sequences of like length share
 * attention's slots and memory is at its peak at the start.
 */
export function sortIntoBatches(
  examples: readonly TokenizedExample[],
  limits: { readonly maxTokens: number; readonly maxExamples?: number },
): ExampleBatch[] {
  const order = [...examples.keys()];
  order.sort((a, b) => inputLength(examples[b]!) - inputLength(examples[a]!) || a - b);
  const sorted = order.map((index) => examples[index]!);
  return cutByTokens(sorted, limits).map((run) => {
    return { examples: run.map((at) => order[at]!), batch: makeBatch(run.map((at) => sorted[at]!)) };
  });
}

/**
 * Sums a batch's label losses per example.
 * @param losses [labels], as `Runtime.labelLosses` returns them
 * @returns one sum in nats for each example of the batch, in its order
 */
export function sumByExample({ examples, batch }: ExampleBatch, losses: Float32Array): Float64Array {
  const sums = new Float64Array(examples.length);
  labelSequences(batch).forEach((sequence, label) => (sums[sequence] = sums[sequence]! + losses[label]!));
  return sums;
}

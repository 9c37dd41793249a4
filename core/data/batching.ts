import type { TokenizedExample } from './example.ts';
import { inputLength, labelSequences, makeBatch, type ExampleBatch } from './make-batch.ts';

/** What goes through the model at once. */
export interface BatchLimits {
  /** Input tokens. */
  readonly maxTokens: number;
  /** Completion tokens; each has a row of logits. Default no limit. */
  readonly maxLabels?: number;
  /** Default no limit. */
  readonly maxExamples?: number;
}

/** Elements of one array of logits, [labels, vocab]: 64 MiB. Gradients need three of them at a time. */
const MAX_LOGITS = 2 ** 24;

/** The labels of one batch whose logits take no more memory than {@link MAX_LOGITS} allows; one at least. */
export function labelLimit(vocabSize: number): number {
  return Math.max(1, Math.floor(MAX_LOGITS / vocabSize));
}

/**
 * Cuts examples into runs, in order, each within the limits; an example that exceeds one by itself is alone.
 * @returns indices into the list
 */
export function cutIntoRuns(examples: readonly TokenizedExample[], limits: BatchLimits): number[][] {
  const { maxTokens, maxLabels = Infinity, maxExamples = Infinity } = limits;
  const runs: number[][] = [];
  let [tokensLeft, labelsLeft] = [0, 0];
  examples.forEach((example, index) => {
    const [tokens, labels] = [inputLength(example), example.completionIds.length];
    const run = runs.at(-1);
    if (run && tokens <= tokensLeft && labels <= labelsLeft && run.length < maxExamples) run.push(index);
    else {
      runs.push([index]);
      [tokensLeft, labelsLeft] = [maxTokens, maxLabels];
    }
    tokensLeft -= tokens;
    labelsLeft -= labels;
  });
  return runs;
}

/**
 * Batches for evaluation: every example once, sorted by length, longest first, so that sequences of like length share
 * attention's slots and memory is at its peak at the start.
 */
export function sortIntoBatches(examples: readonly TokenizedExample[], limits: BatchLimits): ExampleBatch[] {
  const order = [...examples.keys()];
  order.sort((a, b) => inputLength(examples[b]!) - inputLength(examples[a]!) || a - b);
  const sorted = order.map((index) => examples[index]!);
  return cutIntoRuns(sorted, limits).map((run) => {
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

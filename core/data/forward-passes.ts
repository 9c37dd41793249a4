import type { Runtime } from '../engine/runtime.ts';
import { labelLimit, sortIntoBatches } from './batching.ts';
import type { TokenizedExample } from './example.ts';
import type { ExampleBatch } from './make-batch.ts';

export interface EvaluationOptions {
  /** Most examples of one forward pass. Default: as many as {@link FORWARD_TOKENS} and the limit of labels hold. */
  readonly batchSize?: number;
  readonly signal?: AbortSignal;
}

/** Input tokens of one forward pass: enough for matrix products at their best speed, few enough for memory. */
const FORWARD_TOKENS = 1024;

/**
 * Every example once, in batches of like length; other work gets a turn after each.
 * @returns input tokens of all batches
 */
export async function forEachBatch(
  runtime: Runtime,
  examples: readonly TokenizedExample[],
  { batchSize, signal }: EvaluationOptions,
  run: (group: ExampleBatch) => Promise<void>,
): Promise<number> {
  if (examples.length === 0) throw new RangeError('there are no examples to evaluate');
  const limits = {
    maxTokens: FORWARD_TOKENS,
    maxLabels: labelLimit(runtime.base.config.vocabSize),
    ...(batchSize !== undefined && { maxExamples: batchSize }),
  };
  let tokens = 0;
  for (const group of sortIntoBatches(examples, limits)) {
    signal?.throwIfAborted();
    await run(group);
    tokens += group.batch.inputIds.length;
    await breathe();
  }
  return tokens;
}

/** Lets messages (a cancellation, say) in: a runtime may block the event loop for a whole batch. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Index of the largest value; the first of equal ones. */
export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

import { sortIntoBuckets, type ExampleBatch } from './batching.ts';
import type { TokenizedExample } from './example.ts';

export interface EvaluationOptions {
  /** Rows of one forward pass. Default 32. */
  readonly batchSize?: number;
  readonly signal?: AbortSignal;
}

const DEFAULT_BATCH_SIZE = 32;

/**
 * Every example once, in batches of like length; other work gets a turn after each.
 * @returns real input tokens of all batches
 */
export async function forEachBatch(
  examples: readonly TokenizedExample[],
  { batchSize = DEFAULT_BATCH_SIZE, signal }: EvaluationOptions,
  run: (group: ExampleBatch) => Promise<void>,
): Promise<number> {
  if (examples.length === 0) throw new RangeError('there are no examples to evaluate');
  let tokens = 0;
  for (const group of sortIntoBuckets(examples, { batchSize })) {
    signal?.throwIfAborted();
    await run(group);
    tokens += group.batch.tokens;
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

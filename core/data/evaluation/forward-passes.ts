import { setImmediate } from 'node:timers/promises';
import { adaptedWidths } from '../../engine/memory/activation-memory.ts';
import { tokenLimit } from '../../engine/memory/token-limits.ts';
import type { Runtime } from '../../engine/runtime.ts';
import { labelLimit, sortIntoBatches, type ExampleBatch } from '../batching.ts';
import type { TokenizedExample } from '../example.ts';

export interface EvaluationOptions {
  /** Largest number of examples in one forward pass. Default: limited only by the numbers of tokens and labels. */
  readonly batchSize?: number;
  /** Signal that aborts the evaluation. It is checked before every batch. */
  readonly signal?: AbortSignal;
}

interface PassOptions<Example extends TokenizedExample> extends EvaluationOptions {
  /**
   * Ratio of the input tokens of all rows to the tokens that the model computes, which is above 1 if rows share their
   * beginnings. Default 1.
   */
  readonly repeated?: number;
  /**
   * Function that returns the number by which rows are sorted, largest first; rows with equal numbers keep their order.
   * Default: their number of input tokens.
   */
  readonly sortBy?: (example: Example) => number;
}

/**
 * Calls `run` for batches that hold every example once. Between two batches, the event loop gets a turn.
 * @returns the number of input tokens in all batches
 * @throws RangeError if there are no examples
 */
export async function forEachBatch<Example extends TokenizedExample>(
  runtime: Runtime,
  examples: readonly Example[],
  { batchSize, signal, repeated = 1, sortBy }: PassOptions<Example>,
  run: (group: ExampleBatch<Example>) => Promise<void>,
): Promise<number> {
  if (examples.length === 0) throw new RangeError('there are no examples to evaluate, expected at least one');
  const maxLabels = labelLimit(runtime);
  const call = { kind: 'labelLosses', adapted: adaptedWidths(null), labels: maxLabels } as const;
  const limits = {
    maxTokens: tokenLimit(runtime, { ...call, most: Math.round(runtime.tokenBudgets.forward * repeated) }),
    maxLabels,
    ...(batchSize !== undefined && { maxExamples: batchSize }),
  };
  let tokens = 0;
  for (const group of sortIntoBatches(examples, limits, sortBy)) {
    signal?.throwIfAborted();
    await run(group);
    tokens += group.batch.inputIds.length;
    // A runtime may block the event loop for a whole batch; this lets messages arrive, such as a cancellation.
    await setImmediate();
  }
  return tokens;
}

import type { Batch, Runtime } from '../../../core/engine/runtime.ts';
import type { Adapter } from '../../../core/models/lora/adapter.ts';
import { makeBatch } from '../../../core/data/batching.ts';
import { exampleOf } from '../../../core/data/example.ts';
import type { TokenIds } from './protocol.ts';

/** Makes the batch that training and evaluation would make of the examples. */
export function batchOf(examples: readonly TokenIds[]): Batch {
  return makeBatch(examples.map((ids) => exampleOf(ids.promptIds, ids.completionIds, { prompt: '', completion: '' })));
}

/** Returns the number of completion tokens of the examples. */
export function labelCount(examples: readonly TokenIds[]): number {
  return examples.reduce((total, { completionIds }) => total + completionIds.length, 0);
}

/** Returns the logits at the completion tokens, [labels, vocabulary]. */
export function labelLogits(
  runtime: Runtime,
  adapter: Adapter | null,
  examples: readonly TokenIds[],
): Promise<Float32Array> {
  return runtime.logits(adapter, batchOf(examples));
}

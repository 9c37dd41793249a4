import { setImmediate } from 'node:timers/promises';
import type { Runtime } from '../../engine/runtime.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import { makeBatch } from '../batching.ts';
import type { TokenizedExample } from '../example.ts';
import type { EvaluationOptions } from './forward-passes.ts';

/**
 * Computes how large the inputs of each linear layer are, column by column: Σ x² over the input tokens of all examples, in the last
 * layer after attention over their labels. Up to a factor, it is the diagonal of the inputs' second moments E[x xᵀ]. Each example
 * goes through the model by itself, because in a batch the beginnings that rows have in common would count once.
 * @param adapter null computes with the base alone
 * @returns [inFeatures] by module
 * @throws RangeError if there are no examples
 */
export async function sumInputSquares(
  runtime: Runtime,
  adapter: Adapter | null,
  examples: readonly TokenizedExample[],
  { signal }: Pick<EvaluationOptions, 'signal'> = {},
): Promise<Map<string, Float64Array>> {
  if (examples.length === 0) throw new RangeError('there are no examples to measure inputs on, expected at least one');
  const sums = new Map<string, Float64Array>();
  for (const example of examples) {
    signal?.throwIfAborted();
    for (const [module, squares] of await runtime.inputSquares(adapter, makeBatch([example]))) {
      const sum = sums.get(module) ?? new Float64Array(squares.length);
      squares.forEach((value, i) => (sum[i]! += value));
      sums.set(module, sum);
    }
    await setImmediate();
  }
  return sums;
}

import { setImmediate } from 'node:timers/promises';
import type { Runtime } from '../../engine/runtime.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import { makeBatch } from '../batching.ts';
import type { TokenizedExample } from '../example.ts';
import type { EvaluationOptions } from './forward-passes.ts';

/** What the engine's `InputMoments` are, summed over many rows. */
export interface SummedMoments {
  /** Σ x² by column, [inFeatures]: up to a factor, the diagonal of E[x xᵀ]. */
  readonly squares: Float64Array;
  /** Σ (A x)(A x)ᵀ, [rank, rank] row-major: up to the same factor, A E[x xᵀ] Aᵀ. Empty for a module that is not adapted. */
  readonly projected: Float64Array;
}

/**
 * Sums moments of the inputs of each linear layer over the input tokens of all examples, in the last layer after attention over their
 * labels. Each example goes through the model by itself, because in a batch the beginnings that rows have in common would count once.
 * @param adapter what the base computes with; null computes with the base alone
 * @returns by module
 * @throws RangeError if there are no examples
 */
export async function sumInputMoments(
  runtime: Runtime,
  adapter: Adapter | null,
  examples: readonly TokenizedExample[],
  { signal }: Pick<EvaluationOptions, 'signal'> = {},
): Promise<Map<string, SummedMoments>> {
  if (examples.length === 0) throw new RangeError('there are no examples to measure inputs on, expected at least one');
  const sums = new Map<string, SummedMoments>();
  for (const example of examples) {
    signal?.throwIfAborted();
    for (const [module, { squares, projected }] of await runtime.inputMoments(adapter, makeBatch([example]))) {
      const sum = sums.get(module);
      if (sum) addInto(sum.squares, squares);
      if (sum && projected) addInto(sum.projected, projected);
      if (!sum)
        sums.set(module, { squares: Float64Array.from(squares), projected: Float64Array.from(projected ?? []) });
    }
    await setImmediate();
  }
  return sums;
}

function addInto(sum: Float64Array, values: Float32Array): void {
  values.forEach((value, i) => (sum[i]! += value));
}

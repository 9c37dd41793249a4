import type { Runtime } from '../../engine/runtime.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import { exampleOf, type TokenizedExample } from '../example.ts';
import { forEachBatch, type EvaluationOptions } from './forward-passes.ts';

/**
 * Returns the probability that the model ends the text after an example, summed over all ending tokens and averaged
 * over the examples. Each ending token is evaluated as the label of a row of its own, so this needs only the program
 * that evaluates losses.
 * @param ends ids of the tokens that end a text, all different; at least one
 */
export async function endProbability(
  runtime: Runtime,
  adapter: Adapter | null,
  examples: readonly TokenizedExample[],
  { ends, ...options }: EvaluationOptions & { readonly ends: readonly number[] },
): Promise<number> {
  const asked = examples.flatMap(({ tokenIds, row }) => ends.map((end) => exampleOf(tokenIds, [end], row)));
  let total = 0;
  await forEachBatch(runtime, asked, { ...options, repeated: ends.length }, async ({ batch }) => {
    const losses = await runtime.labelLosses(adapter, batch);
    total += losses.reduce((sum, loss) => sum + Math.exp(-loss), 0);
  });
  return total / examples.length;
}

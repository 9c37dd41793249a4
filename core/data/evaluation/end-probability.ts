import type { Runtime } from '../../engine/runtime.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { TokenizedExample } from '../example.ts';
import { forEachBatch, type EvaluationOptions } from './forward-passes.ts';

/**
 * Measures how probable a model finds it that the text ends behind each example: the mean over the examples of the
 * probability of any of the ending tokens.
 * @param ends ids of the tokens that end a text; at least one
 */
export async function endProbability(
  runtime: Runtime,
  adapter: Adapter | null,
  examples: readonly TokenizedExample[],
  { ends, ...options }: EvaluationOptions & { readonly ends: readonly number[] },
): Promise<number> {
  const asked = examples.map(({ tokenIds, row }): TokenizedExample => {
    const [end = 0] = ends;
    return { tokenIds: [...tokenIds, end], labelSpans: [[tokenIds.length, tokenIds.length + 1]], row };
  });
  let total = 0;
  await forEachBatch(runtime, asked, options, async ({ batch, members }) => {
    const logits = await runtime.logits(adapter, batch);
    const vocab = logits.length / batch.labelPositions.length;
    for (const { start } of members) total += shareOf(ends, logits.subarray(start * vocab, (start + 1) * vocab));
  });
  return total / examples.length;
}

/** The probability that softmax gives to any of the tokens. */
function shareOf(tokens: readonly number[], logits: Float32Array): number {
  const largest = logits.reduce((most, value) => Math.max(most, value), -Infinity);
  const all = logits.reduce((sum, value) => sum + Math.exp(value - largest), 0);
  return tokens.reduce((sum, token) => sum + Math.exp(logits[token]! - largest), 0) / all;
}

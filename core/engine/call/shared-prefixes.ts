import type { Batch } from '../runtime.ts';

/** Distinct tokens of a batch: tokens with equal beginnings are computed once. */
export interface SharedTokens {
  /** [unique] token of the batch that represents all tokens with the same beginning, in order. */
  readonly representatives: Int32Array;
  /** [tokens] index of each token's representative. */
  readonly indices: Int32Array;
}

/**
 * Finds tokens that follow the same tokens. They have equal hidden states, since each token attends only to those
 * before it. So a template at the beginning of several prompts, or a prompt with several completions, is computed once.
 */
export function sharePrefixes({ inputIds, sequenceLengths }: Batch, vocabSize: number): SharedTokens {
  const representatives: number[] = [];
  const indices = new Int32Array(inputIds.length);
  const known = new Map<number, number>();
  let start = 0;
  for (const length of sequenceLengths) {
    // Index + 1 of the last token's representative, which identifies the whole beginning.
    let beginning = 0;
    for (const [offset, id] of inputIds.subarray(start, start + length).entries()) {
      const key = beginning * vocabSize + id;
      const index = known.get(key) ?? representatives.push(start + offset) - 1;
      known.set(key, index);
      indices[start + offset] = index;
      beginning = index + 1;
    }
    start += length;
  }
  return { representatives: Int32Array.from(representatives), indices };
}

/** Makes every token its own representative. */
export function shareNothing({ inputIds }: Batch): SharedTokens {
  const indices = Int32Array.from(inputIds.keys());
  return { representatives: indices, indices };
}

/** [tokens − unique] tokens of the batch that another token represents, in order. */
export function repeatedTokens({ representatives, indices }: SharedTokens): Int32Array {
  const unique = new Set(representatives);
  return Int32Array.from(indices.keys()).filter((token) => !unique.has(token));
}

/** [unique] 1 / the number of tokens that each representative stands for. */
export function sharesOf({ representatives, indices }: SharedTokens): Float32Array {
  const counts = new Float32Array(representatives.length);
  for (const index of indices) counts[index]!++;
  return counts.map((count) => 1 / count);
}

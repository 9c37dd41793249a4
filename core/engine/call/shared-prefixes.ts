import type { Batch } from '../runtime.ts';

/**
 * Groups of a batch's tokens with the same text up to and including them. Each group is computed once, as one token
 * that represents it.
 */
export interface SharedTokens {
  /** Index in the batch of the token that represents each group, [unique], in the order of the batch. */
  readonly representatives: Int32Array;
  /** Index in `representatives` of the token that represents each token of the batch, [tokens]. */
  readonly indices: Int32Array;
}

/**
 * Groups equal tokens that follow the same tokens. They have equal hidden states, since a token attends only to itself
 * and to the tokens before it. So a template at the beginning of several prompts, or a prompt with several completions,
 * is computed once.
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

/** Makes every token represent itself, for batches in which equal beginnings may not be shared. */
export function shareNothing({ inputIds }: Batch): SharedTokens {
  const indices = Int32Array.from(inputIds.keys());
  return { representatives: indices, indices };
}

/** Returns the indices in the batch of the tokens that another token represents, [tokens − unique], in order. */
export function repeatedTokens({ representatives, indices }: SharedTokens): Int32Array {
  const unique = new Set(representatives);
  return Int32Array.from(indices.keys()).filter((token) => !unique.has(token));
}

/** Returns, for each representative, 1 divided by the number of tokens that it represents, [unique]. */
export function sharesOf({ representatives, indices }: SharedTokens): Float32Array {
  const counts = new Float32Array(representatives.length);
  for (const index of indices) counts[index]!++;
  return counts.map((count) => 1 / count);
}

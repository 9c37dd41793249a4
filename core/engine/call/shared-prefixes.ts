import type { Batch } from '../runtime.ts';

/** The tokens of a batch that go through the model, where several sequences begin alike. */
export interface SharedTokens {
  /** [unique] the token of the batch that stands for all with the same beginning, in order. */
  readonly representatives: Int32Array;
  /** [tokens] the index of each token's representative. */
  readonly indices: Int32Array;
}

/**
 * Finds the tokens that follow the same tokens. They have the same hidden states, since each token sees only those before
 * it. So prompts that begin with one template, or one prompt with several completions, are computed once as far as they
 * agree.
 */
export function sharePrefixes({ inputIds, sequenceLengths }: Batch, vocabSize: number): SharedTokens {
  const representatives: number[] = [];
  const indices = new Int32Array(inputIds.length);
  const known = new Map<number, number>();
  let start = 0;
  for (const length of sequenceLengths) {
    // The representative of its last token identifies a whole beginning.
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

/** Lets every token stand for itself. */
export function shareNothing({ inputIds }: Batch): SharedTokens {
  const indices = Int32Array.from(inputIds.keys());
  return { representatives: indices, indices };
}

/** [tokens − unique] the tokens of the batch that another token stands for, in order. */
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

import type { Batch } from '../runtime.ts';

/** Which tokens of a batch go through the model, where several sequences begin alike. */
export interface SharedTokens {
  /** [unique] the token of the batch that stands for all with the same beginning, in order. */
  readonly representatives: Int32Array;
  /** [tokens] which of the representatives stands for each token of the batch. */
  readonly indices: Int32Array;
}

/**
 * Tokens that follow the same tokens have the same hidden states, since each sees those before it alone: prompts that
 * begin with one template, or one prompt with several completions, are computed once as far as they agree.
 */
export function sharePrefixes({ inputIds, sequenceLengths }: Batch, vocabSize: number): SharedTokens {
  const representatives: number[] = [];
  const indices = new Int32Array(inputIds.length);
  const known = new Map<number, number>();
  let token = 0;
  for (const length of sequenceLengths) {
    // The whole beginning is named by the representative of its last token.
    let beginning = 0;
    for (const end = token + length; token < end; token++) {
      const key = beginning * vocabSize + inputIds[token]!;
      const index = known.get(key) ?? representatives.push(token) - 1;
      known.set(key, index);
      indices[token] = index;
      beginning = index + 1;
    }
  }
  return { representatives: Int32Array.from(representatives), indices };
}

/** Every token stands for itself. */
export function shareNothing({ inputIds }: Batch): SharedTokens {
  const indices = Int32Array.from(inputIds.keys());
  return { representatives: indices, indices };
}

/** [tokens − unique] the tokens of the batch that another stands for, in order. */
export function repeatedTokens({ representatives, indices }: SharedTokens): Int32Array {
  return Int32Array.from(indices.keys()).filter((token) => representatives[indices[token]!] !== token);
}

/** [unique] 1 / number of tokens that each stands for. */
export function sharesOf({ representatives, indices }: SharedTokens): Float32Array {
  const counts = new Float32Array(representatives.length);
  for (const index of indices) counts[index]!++;
  return counts.map((count) => 1 / count);
}

/** Division of a batch's labels into blocks of equal size. Losses are computed block by block. */
export interface LabelBlocks {
  readonly blocks: number;
  /** Number of labels in each block, including padding in the last one. */
  readonly labels: number;
}

/**
 * Chooses the number of label blocks: a power of two, since each number needs programs of its own.
 * @param maxLogits largest number of elements of a block's logits, [labels, vocab]
 */
export function labelBlocks(labels: number, vocabSize: number, maxLogits: number): LabelBlocks {
  const most = Math.max(1, Math.floor(maxLogits / vocabSize));
  const blocks = 2 ** Math.ceil(Math.log2(Math.max(1, labels / most)));
  return { blocks, labels: Math.ceil(labels / blocks) };
}

/** Pads one value per label to the full length of all blocks, with copies of the last value. */
export function fillBlocks(values: Int32Array, { blocks, labels }: LabelBlocks): Int32Array {
  const filled = new Int32Array(blocks * labels).fill(values.at(-1) ?? 0);
  filled.set(values);
  return filled;
}

/**
 * Makes the weights of the labels in all blocks, [blocks · labels]: 1 for each of the batch's `count` labels, and 0 for
 * padding.
 */
export function labelWeights(count: number, { blocks, labels }: LabelBlocks): Float32Array {
  return new Float32Array(blocks * labels).fill(1, 0, count);
}

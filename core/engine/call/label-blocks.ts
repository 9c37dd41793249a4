/** The labels of a batch as a program takes them, which computes their losses in blocks of equal size. */
export interface LabelBlocks {
  readonly blocks: number;
  /** Labels of each block. */
  readonly labels: number;
}

/**
 * Chooses the number of blocks of labels that losses are computed in, one after the other: a power of two, since each needs
 * programs of its own.
 * @param mostLogits largest number of elements in the logits of a block, [labels, vocab]
 */
export function labelBlocks(labels: number, vocabSize: number, mostLogits: number): LabelBlocks {
  const most = Math.max(1, Math.floor(mostLogits / vocabSize));
  const blocks = 2 ** Math.ceil(Math.log2(Math.max(1, labels / most)));
  return { blocks, labels: Math.ceil(labels / blocks) };
}

/** Fills the last blocks with copies of the last value. */
export function fillBlocks(values: Int32Array, { blocks, labels }: LabelBlocks): Int32Array {
  const filled = new Int32Array(blocks * labels).fill(values.at(-1) ?? 0);
  filled.set(values);
  return filled;
}

/** [blocks · labels] 1 for each of the batch's `count` labels, and 0 for what fills the last blocks. */
export function labelWeights(count: number, { blocks, labels }: LabelBlocks): Float32Array {
  return new Float32Array(blocks * labels).fill(1, 0, count);
}

import * as tf from '@tensorflow/tfjs';

/** One block of queries, with the keys and values that it attends to. */
export interface AttentionBlock {
  /**
   * Queries, [bins, keyValueHeads, groups · blockLength, headDim]; the query heads that share a key head are joined.
   */
  readonly q: tf.Tensor4D;
  /** Keys, [bins, keyValueHeads, places up to the block's end, headDim]. */
  readonly k: tf.Tensor4D;
  /** Values, in the shape of `k`. */
  readonly v: tf.Tensor4D;
}

/** Division of attention's places into blocks of queries, and the block in progress. */
export interface BlockSizes {
  readonly keyHeads: number;
  /** Number of query blocks. */
  readonly blocks: number;
  /** Index of the block in progress, from 0. */
  readonly block: number;
}

/**
 * Slices the queries of a block, in the shape of its `q`, from queries [bins, heads, binLength, headDim] or another
 * tensor of that shape.
 */
export function queriesOf(x: tf.Tensor4D, { keyHeads, blocks, block }: BlockSizes): tf.Tensor4D {
  const [bins, heads, length, headDim] = x.shape;
  const own = blocks === 1 ? x : cut(x, blocks, block, block + 1);
  return own.reshape([bins, keyHeads, (heads / keyHeads) * (length / blocks), headDim]);
}

/** Slices the keys or values before the end of a block from [bins, keyValueHeads, binLength, headDim]. */
export function seenBy({ blocks, block }: BlockSizes, x: tf.Tensor4D): tf.Tensor4D {
  if (block + 1 === blocks) return x;
  const [bins, heads, length, headDim] = x.shape;
  return cut(x, blocks, 0, block + 1).reshape([bins, heads, ((block + 1) * length) / blocks, headDim]);
}

/** Concatenates the outputs of all blocks, each in the shape of its `q`, to [bins, heads, binLength, headDim]. */
export function joinQueries(parts: readonly tf.Tensor4D[], shape: tf.Tensor4D['shape']): tf.Tensor4D {
  const [bins, heads, length, headDim] = shape;
  const block = length / parts.length;
  const [only] = parts;
  if (only && parts.length === 1) return only.reshape(shape);
  return tf
    .concat(
      parts.map((part) => part.reshape<tf.Tensor5D>([bins, heads, 1, block, headDim])),
      2,
    )
    .reshape(shape);
}

function cut(x: tf.Tensor4D, blocks: number, begin: number, end: number): tf.Tensor5D {
  const [bins, heads, length, headDim] = x.shape;
  const block = length / blocks;
  const byBlock = x.reshape<tf.Tensor5D>([bins, heads, blocks, block, headDim]);
  return byBlock.slice([0, 0, begin, 0, 0], [bins, heads, end - begin, block, headDim]);
}

/**
 * Adds up the gradients of all blocks with respect to queries, keys and values. The gradients of one block are packed
 * into one tensor before they are split again. A runtime that computes on demand then finishes one block before it
 * begins the next, and has the scores of only one block in memory at a time.
 * @param gradients gradients of each block, in the shapes of its `q`, `k` and `v`
 * @returns gradients in the shapes of the queries, keys and values of all blocks
 */
export function joinGradients(
  gradients: readonly AttentionBlock[],
  shapes: { readonly q: tf.Tensor4D['shape']; readonly k: tf.Tensor4D['shape'] },
): [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D] {
  const [only] = gradients;
  if (only && gradients.length === 1) return [only.q.reshape(shapes.q), only.k, only.v];
  const [bins, keyHeads, length, headDim] = shapes.k;
  const blockSize = (length / gradients.length) * headDim;
  const groups = shapes.q[1] / keyHeads;
  const byBlock = (x: tf.Tensor4D, count: number) => x.reshape<tf.Tensor4D>([bins, keyHeads, count, blockSize]);
  const parts = gradients.map(({ q, k, v }, block) => {
    const [queries, keys] = [groups, block + 1];
    const packed = tf.concat([byBlock(q, queries), byBlock(k, keys), byBlock(v, keys)], 2);
    const [ofQ, ...ofKeys] = tf.split(packed, [queries, ...Array<number>(2 * keys).fill(1)], 2);
    return { q: ofQ as tf.Tensor4D, k: ofKeys.slice(0, keys), v: ofKeys.slice(keys) };
  });
  const summed = (name: 'k' | 'v'): tf.Tensor4D => {
    const sums = parts.map((_, block) => {
      const own = parts.flatMap((part) => part[name][block] ?? []);
      return own.reduce((total, part) => total.add(part));
    });
    return tf.concat(sums as tf.Tensor4D[], 2).reshape(shapes.k);
  };
  return [
    joinQueries(
      parts.map(({ q }) => q),
      shapes.q,
    ),
    summed('k'),
    summed('v'),
  ];
}

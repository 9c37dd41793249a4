import * as tf from '@tensorflow/tfjs';

/** Value added to the score of a masked key; its softmax is then 0 in float32. */
export const HIDDEN = -1e9;

/** Sequences and positions of the tokens at the places of the bins, each [bins, binLength] int32. */
interface BinContents {
  /** Index of the sequence whose token is at each place; empty places share a number that no sequence has. */
  readonly sequences: tf.Tensor2D;
  /** Position, in its sequence, of the token at each place. */
  readonly positions: tf.Tensor2D;
}

interface MaskOptions {
  /**
   * Size of the sliding window: the number of tokens that a token attends to, itself included. Null lets it attend to
   * all tokens up to itself.
   */
  readonly window: number | null;
  /** Number of query blocks that each bin is divided into. */
  readonly blocks: number;
}

/**
 * Makes a mask for each block of queries, [bins, 1, places of the block, places up to the block's end]: 0 if the
 * query's token attends to the key's token, else {@link HIDDEN}. A token attends to itself and to the earlier tokens of
 * its sequence; with a window, only to the last `window` − 1 of the earlier ones. All these tokens lie at the token's
 * own place in the bin or before it, so a block of queries needs no keys beyond its end.
 */
export function attentionMasks(contents: BinContents, { window, blocks }: MaskOptions): tf.Tensor4D[] {
  return Array.from({ length: blocks }, (_, block) => {
    const [queries, keys] = [places(contents, block, block + 1, blocks), places(contents, 0, block + 1, blocks)];
    return mask(queries, keys, window);
  });
}

/**
 * Cuts the places of the blocks from `begin` up to, but not including, `end` out of the tensors of all places in the
 * bins.
 */
function places({ sequences, positions }: BinContents, begin: number, end: number, blocks: number): BinContents {
  const [bins, length] = sequences.shape;
  const block = length / blocks;
  const cut = (x: tf.Tensor2D): tf.Tensor2D => {
    if (end - begin === blocks) return x;
    const byBlock = x.reshape<tf.Tensor3D>([bins, blocks, block]);
    return byBlock.slice([0, begin, 0], [bins, end - begin, block]).reshape([bins, (end - begin) * block]);
  };
  return { sequences: cut(sequences), positions: cut(positions) };
}

function mask(queries: BinContents, keys: BinContents, window: number | null): tf.Tensor4D {
  const asQueries = (x: tf.Tensor2D) => x.reshape([x.shape[0], 1, x.shape[1], 1]);
  const asKeys = (x: tf.Tensor2D) => x.reshape([x.shape[0], 1, 1, x.shape[1]]);
  const together = tf.equal(asQueries(queries.sequences), asKeys(keys.sequences));
  const before = tf.greaterEqual(asQueries(queries.positions), asKeys(keys.positions));
  const seen = tf.logicalAnd(together, before);
  const near =
    window === null
      ? seen
      : tf.logicalAnd(
          seen,
          tf.less(asQueries(queries.positions), asKeys(keys.positions).add(tf.scalar(window, 'int32'))),
        );
  return near.cast('float32').sub(1).mul(-HIDDEN);
}

import * as tf from '@tensorflow/tfjs';
import { withGradient } from '../custom-gradient.ts';

/** Added to the score of a key that a query must not see; its softmax is 0 in float32. */
export const HIDDEN = -1e9;

/** Queries, keys and values of all bins; the heads of queries that share a head of keys are joined. */
interface AttentionInputs {
  /** [bins, keyValueHeads, groups · binLength, headDim], scaled */
  readonly q: tf.Tensor4D;
  /** [bins, keyValueHeads, binLength, headDim] */
  readonly k: tf.Tensor4D;
  /** [bins, keyValueHeads, binLength, headDim] */
  readonly v: tf.Tensor4D;
}

/**
 * Attention of grouped queries: softmax(cap(q kᵀ) + mask) v, with cap(s) = c · tanh(s / c) where there is a cap. The
 * gradient is written out. With probabilities p and output o, dS = p · (do vᵀ − Σ(do · o)), where the sum is over the
 * head's features rather than over all keys (Dao et al. 2022, FlashAttention, appendix B).
 * @param mask [bins, 1, binLength, binLength], of {@link attentionMask}
 * @returns in the shape of q
 */
export function attend({ q, k, v }: AttentionInputs, mask: tf.Tensor4D, cap: number | null): tf.Tensor4D {
  return withGradient([q, k, v], (q, k, v) => {
    const scores = cappedScores(q, k, cap);
    const probabilities = maskedSoftmax(scores, mask);
    const value = tf.matMul<tf.Tensor4D>(probabilities, v);
    const saved: SavedTensors = [q, k, v, probabilities, value, ...(cap === null ? [] : [scores])];
    return { value, saved, gradient: (dy, ...kept: SavedTensors) => attentionGradient(dy, kept, cap) };
  });
}

/** Queries, keys, values, probabilities and output, and the scores where they are capped. */
type SavedTensors = [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, ...tf.Tensor[]];

function attentionGradient(dy: tf.Tensor, saved: SavedTensors, cap: number | null): tf.Tensor[] {
  const [q, k, v, probabilities, output, scores] = saved;
  const dProbabilities = tf.matMul(dy, v, false, true);
  const dCapped = probabilities.mul(dProbabilities.sub(dy.mul(output).sum(-1, true)));
  const dScores = scores && cap !== null ? dCapped.mul(tf.sub(1, scores.mul(1 / cap).square())) : dCapped;
  return [tf.matMul(dScores, k), tf.matMul(dScores, q, true, false), tf.matMul(probabilities, dy, true, false)];
}

/** q kᵀ, with cap(s) = c · tanh(s / c) where there is a cap. */
export function cappedScores(q: tf.Tensor4D, k: tf.Tensor4D, cap: number | null): tf.Tensor4D {
  const scores = tf.matMul<tf.Tensor4D>(q, k, false, true);
  return cap === null ? scores : tf.tanh(scores.mul(1 / cap)).mul(cap);
}

/** The mask is the same for all heads, so their scores are laid one behind the other for it. */
function maskedSoftmax(scores: tf.Tensor4D, mask: tf.Tensor4D): tf.Tensor4D {
  const [bins, keyHeads, queries, keys] = scores.shape;
  const byHead = scores.reshape([bins, (keyHeads * queries) / keys, keys, keys]);
  return tf.softmax(byHead.add(mask)).reshape(scores.shape);
}

/** Which token lies at each place of the bins, each [bins, binLength] int32. */
interface BinContents {
  /** Sequence of each place's token; places without a token share a number that no sequence has. */
  readonly sequences: tf.Tensor2D;
  /** Position of each place's token in its sequence. */
  readonly positions: tf.Tensor2D;
}

/**
 * [bins, 1, binLength, binLength]: 0 where the query's token sees the key's token, else {@link HIDDEN}. It sees the tokens
 * of its own sequence that are not after it and, with a window, fewer than `window` before it.
 */
export function attentionMask({ sequences, positions }: BinContents, window: number | null): tf.Tensor4D {
  const [bins, length] = sequences.shape;
  const asQueries = (x: tf.Tensor2D) => x.reshape([bins, 1, length, 1]);
  const asKeys = (x: tf.Tensor2D) => x.reshape([bins, 1, 1, length]);
  const together = tf.equal(asQueries(sequences), asKeys(sequences));
  const before = tf.greaterEqual(asQueries(positions), asKeys(positions));
  const seen = tf.logicalAnd(together, before);
  const near =
    window === null
      ? seen
      : tf.logicalAnd(seen, tf.less(asQueries(positions), asKeys(positions).add(tf.scalar(window, 'int32'))));
  return near.cast('float32').sub(1).mul(-HIDDEN);
}

import * as tf from '@tensorflow/tfjs';

/** Added to the score of a key that a query must not see; its softmax is 0 in float32. */
const HIDDEN = -1e9;

/** Queries, keys and values of all bins, each head of keys with the heads of queries that share it. */
export interface AttentionInputs {
  /** [bins, keyValueHeads, groups · binLength, headDim], scaled */
  readonly q: tf.Tensor4D;
  /** [bins, keyValueHeads, binLength, headDim] */
  readonly k: tf.Tensor4D;
  /** [bins, keyValueHeads, binLength, headDim] */
  readonly v: tf.Tensor4D;
}

/**
 * Attention of grouped queries, softmax(cap(q kᵀ) + mask) v with cap(s) = c · tanh(s / c) where there is a cap. The
 * gradient is written out: with probabilities p and output o, dS = p · (do vᵀ − Σ(do · o)), the sum over the head's
 * features rather than over all keys (Dao et al. 2022, FlashAttention, appendix B).
 * @param mask [bins, 1, binLength, binLength], of {@link attentionMask}
 * @returns in the shape of q
 */
export function attend({ q, k, v }: AttentionInputs, mask: tf.Tensor4D, cap: number | null): tf.Tensor4D {
  const attention = tf.customGrad((...args) => {
    const [query, key, value, save] = args as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D, tf.GradSaveFunc];
    const scores = cappedScores(query, key, cap);
    const probabilities = maskedSoftmax(scores, mask);
    const output = tf.matMul(probabilities, value);
    save(
      cap === null ? [query, key, value, probabilities, output] : [query, key, value, probabilities, output, scores],
    );
    return { value: output, gradFunc: (dy, saved) => attentionGradient(dy, saved, cap) };
  });
  return attention(q, k, v) as tf.Tensor4D;
}

function cappedScores(q: tf.Tensor4D, k: tf.Tensor4D, cap: number | null): tf.Tensor4D {
  const scores = tf.matMul(q, k, false, true) as tf.Tensor4D;
  return cap === null ? scores : tf.tanh(scores.mul(1 / cap)).mul(cap);
}

/** The mask is the same for all heads, whose scores are seen one behind the other for it. */
function maskedSoftmax(scores: tf.Tensor4D, mask: tf.Tensor4D): tf.Tensor4D {
  const [bins, keyHeads, queries, keys] = scores.shape;
  const byHead = scores.reshape([bins, (keyHeads * queries) / keys, keys, keys]);
  return tf.softmax(byHead.add(mask)).reshape(scores.shape) as tf.Tensor4D;
}

function attentionGradient(dy: tf.Tensor, saved: tf.Tensor[], cap: number | null): tf.Tensor[] {
  const [q, k, v, probabilities, output, scores] = saved as [
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
    tf.Tensor?,
  ];
  const dProbabilities = tf.matMul(dy, v, false, true);
  const dCapped = probabilities.mul(dProbabilities.sub(dy.mul(output).sum(-1, true)));
  const dScores = scores ? dCapped.mul(tf.sub(1, scores.mul(1 / cap!).square())) : dCapped;
  return [tf.matMul(dScores, k), tf.matMul(dScores, q, true, false), tf.matMul(probabilities, dy, true, false)];
}

/** Whose token lies where in the bins, each [bins, binLength] int32. */
export interface BinContents {
  /** Sequence of each place's token; places without one share a number that no sequence has. */
  readonly sequences: tf.Tensor2D;
  /** Position of each place's token in its sequence. */
  readonly positions: tf.Tensor2D;
}

/**
 * [bins, 1, binLength, binLength]: 0 where the query's token sees the key's (the same sequence, not after it, and
 * fewer than `window` before it), else {@link HIDDEN}.
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
  return near.cast('float32').sub(1).mul(-HIDDEN) as tf.Tensor4D;
}

import * as tf from '@tensorflow/tfjs';

/** Added to the score of a key that a query must not see; its softmax is 0 in float32. */
const HIDDEN = -1e9;

/**
 * Causal attention of grouped queries, softmax(q kᵀ + mask) v; the queries come scaled. The gradient is written out:
 * with probabilities p and output o, dS = p · (do vᵀ − Σ(do · o)), the sum over the head's features rather than over
 * all keys (Dao et al. 2022, FlashAttention, appendix B).
 * @param q [rows, keyValueHeads, groups · length, headDim], the queries of the heads that share a key head in turn
 * @param k [rows, keyValueHeads, length, headDim]
 * @param v [rows, keyValueHeads, length, headDim]
 * @param window keys that a query sees, itself included; null is all before it
 */
export function causalAttention(q: tf.Tensor4D, k: tf.Tensor4D, v: tf.Tensor4D, window: number | null = null): tf.Tensor4D {
  const attend = tf.customGrad((...args) => {
    const [query, key, value, save] = args as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D, tf.GradSaveFunc];
    const mask = causalMask(query.shape[2] / key.shape[2], key.shape[2], window ?? Infinity);
    const probabilities = tf.softmax(tf.matMul(query, key, false, true).add(mask));
    const output = tf.matMul(probabilities, value);
    save([query, key, value, probabilities, output]);
    return { value: output, gradFunc: attentionGradient };
  });
  return attend(q, k, v) as tf.Tensor4D;
}

function attentionGradient(dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[] {
  const [q, k, v, probabilities, output] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
  const dProbabilities = tf.matMul(dy, v, false, true);
  const dScores = probabilities.mul(dProbabilities.sub(dy.mul(output).sum(-1, true)));
  return [tf.matMul(dScores, k), tf.matMul(dScores, q, true, false), tf.matMul(probabilities, dy, true, false)];
}

/** [groups · length, length]: {@link HIDDEN} where the key is after the query or `window` and more before it, else 0. */
function causalMask(groups: number, length: number, window: number): tf.Tensor2D {
  const mask = new Float32Array(groups * length * length);
  for (let row = 0; row < groups * length; row++) {
    const [start, query] = [row * length, row % length];
    mask.fill(HIDDEN, start + query + 1, start + length);
    mask.fill(HIDDEN, start, start + Math.max(0, query - window + 1));
  }
  return tf.tensor2d(mask, [groups * length, length]);
}

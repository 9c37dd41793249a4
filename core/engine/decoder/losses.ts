import * as tf from '@tensorflow/tfjs';

/**
 * Rows of a matrix by position; the gradient adds each row back at its position (repeated positions sum).
 * @param x [rows, n]
 * @param positions [picked] int32
 */
export function pickRows(x: tf.Tensor2D, positions: tf.Tensor1D): tf.Tensor2D {
  const pick = tf.customGrad((input) => ({
    value: tf.gather(input as tf.Tensor2D, positions),
    gradFunc: (dy) => tf.scatterND(positions.reshape([-1, 1]), dy, x.shape),
  }));
  return pick(x) as tf.Tensor2D;
}

/**
 * log Σ exp over the last axis, [rows, n] → [rows], with gradient dy · softmax(x). From the softmax p it follows
 * without another pass: max(x) − log(max(p)), where max(p) ≥ 1 / n never underflows.
 */
export function logSumExp(x: tf.Tensor2D): tf.Tensor1D {
  const reduce = tf.customGrad((...args) => {
    const [logits, save] = args as [tf.Tensor2D, tf.GradSaveFunc];
    const probabilities = tf.softmax(logits);
    save([probabilities]);
    return {
      value: tf.max(logits, -1).sub(tf.log(tf.max(probabilities, -1))),
      gradFunc: (dy, saved) => saved[0]!.mul(dy.reshape([-1, 1])),
    };
  });
  return reduce(x) as tf.Tensor1D;
}

/** The output head. */
export interface Head {
  /** [vocab, n] */
  readonly weight: tf.Tensor2D;
  /** c of logits c · tanh(x / c); null: they are as they are. */
  readonly cap: number | null;
}

/** [labels, vocab] for hidden states [labels, n]. */
export function logitsOf(hidden: tf.Tensor2D, { weight, cap }: Head): tf.Tensor2D {
  return capped(tf.matMul(hidden, weight, false, true) as tf.Tensor2D, cap);
}

function capped<T extends tf.Tensor>(logits: T, cap: number | null): T {
  return cap === null ? logits : tf.tanh(logits.mul(1 / cap)).mul(cap);
}

/**
 * Negative log-likelihood of each target, [labels] in nats: log Σ exp(h Eᵀ) − h · E[target]. The target's logit is
 * computed from its embedding row, so that no gradient has to be scattered into [labels, vocab].
 * @param hidden [labels, n]
 * @param targets [labels] int32
 */
export function negativeLogLikelihood(hidden: tf.Tensor2D, head: Head, targets: tf.Tensor1D): tf.Tensor1D {
  const targetLogits = rowProducts(hidden, tf.gather(head.weight, targets));
  return logSumExp(logitsOf(hidden, head)).sub(capped(targetLogits, head.cap)) as tf.Tensor1D;
}

/**
 * Σ x · y of each row, [rows, n] → [rows], with a gradient by x alone. That of tfjs' own sum is made of as many ones as x
 * has elements.
 */
function rowProducts(x: tf.Tensor2D, y: tf.Tensor2D): tf.Tensor1D {
  const products = tf.customGrad((...args) => {
    const [input, save] = args as [tf.Tensor2D, tf.GradSaveFunc];
    save([y]);
    return { value: input.mul(y).sum(-1), gradFunc: (dy, saved) => dy.reshape([-1, 1]).mul(saved[0]!) };
  });
  return products(x) as tf.Tensor1D;
}

import * as tf from '@tensorflow/tfjs';
import { withGradient } from './custom-gradient.ts';

/**
 * Picks rows of a matrix; the gradient adds each row back at its position, and sums those of repeated positions.
 * @param x [rows, n]
 * @param positions [picked] int32
 */
export function pickRows(x: tf.Tensor2D, positions: tf.Tensor1D): tf.Tensor2D {
  return withGradient([x], (input) => ({
    value: tf.gather(input, positions),
    gradient: (dy) => tf.scatterND(positions.reshape([-1, 1]), dy, x.shape),
  }));
}

/**
 * log Σ exp over the last axis, [rows, n] → [rows], with gradient dy · softmax(x). The value follows from the softmax p
 * without another pass, as max(x) − log(max(p)), where max(p) ≥ 1 / n never underflows.
 */
function logSumExp(x: tf.Tensor2D): tf.Tensor1D {
  return withGradient([x], (logits) => {
    const probabilities = tf.softmax(logits);
    return {
      value: tf.max(logits, -1).sub<tf.Tensor1D>(tf.log(tf.max(probabilities, -1))),
      saved: [probabilities],
      gradient: (dy, probabilities) => probabilities.mul(dy.reshape([-1, 1])),
    };
  });
}

/** The output head. */
export interface Head {
  /** [vocab, n] */
  readonly weight: tf.Tensor2D;
  /** c where logits x become c · tanh(x / c); null where they stay as they are. */
  readonly cap: number | null;
}

/** Computes logits [labels, vocab] from hidden states [labels, n]. */
export function logitsOf(hidden: tf.Tensor2D, { weight, cap }: Head): tf.Tensor2D {
  return capped(tf.matMul<tf.Tensor2D>(hidden, weight, false, true), cap);
}

function capped<T extends tf.Tensor>(logits: T, cap: number | null): T {
  return cap === null ? logits : tf.tanh(logits.mul(1 / cap)).mul(cap);
}

/**
 * Negative log-likelihood of each label's id, [labels] in nats: log Σ exp(h Eᵀ) − h · E[id]. The id's logit is computed
 * from its embedding row, so that no gradient has to be scattered into [labels, vocab].
 * @param hidden [labels, n]
 * @param ids [labels] int32
 */
export function negativeLogLikelihood(hidden: tf.Tensor2D, head: Head, ids: tf.Tensor1D): tf.Tensor1D {
  const own = rowProducts(hidden, tf.gather(head.weight, ids));
  return logSumExp(logitsOf(hidden, head)).sub(capped(own, head.cap));
}

/**
 * Σ x · y of each row, [rows, n] → [rows], with a gradient by x alone. The gradient of tfjs' own sum would be made from as
 * many ones as x has elements.
 */
function rowProducts(x: tf.Tensor2D, y: tf.Tensor2D): tf.Tensor1D {
  return withGradient([x], (input) => ({
    value: input.mul(y).sum<tf.Tensor1D>(-1),
    saved: [y],
    gradient: (dy, y) => dy.reshape([-1, 1]).mul(y),
  }));
}

import * as tf from '@tensorflow/tfjs';

/** What decides which inputs of one module's A a step drops. */
export interface DropoutTensors {
  /** [rows] a random number for each row of the input */
  readonly rows: tf.Tensor1D;
  /** [inFeatures] and for each of its features */
  readonly features: tf.Tensor1D;
  /** Share that is dropped, one element. */
  readonly rate: tf.Tensor;
}

/**
 * Inverted dropout (Srivastava et al. 2014): an element is kept, times 1 / (1 − rate), where the fraction of row · feature
 * is at least `rate`. Products of random numbers with many whole parts have fractions that are uniform and as good as
 * independent, and a mask of rows · features elements follows from rows + features numbers: the same on every device
 * and after a resume.
 * @param x [rows, inFeatures]
 */
export function dropOut(x: tf.Tensor2D, dropout: DropoutTensors): tf.Tensor2D {
  const apply = tf.customGrad((...args) => {
    const [input, save] = args as [tf.Tensor2D, tf.GradSaveFunc];
    const mask = keptScale(dropout);
    save([mask]);
    return { value: input.mul(mask), gradFunc: (dy, saved) => dy.mul(saved[0]!) };
  });
  return apply(x) as tf.Tensor2D;
}

/** [rows, inFeatures]: 1 / (1 − rate) or 0. */
function keptScale({ rows, features, rate }: DropoutTensors): tf.Tensor2D {
  const phases = rows.reshape([-1, 1]).mul(features);
  const kept = tf.greaterEqual(phases.sub(tf.floor(phases)), rate);
  return kept.cast('float32').div(tf.sub(1, rate)) as tf.Tensor2D;
}

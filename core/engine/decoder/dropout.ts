import * as tf from '@tensorflow/tfjs';
import { withGradient } from './custom-gradient.ts';

/** What decides which inputs of one module's A a step drops. */
export interface DropoutTensors {
  /** [rows] a random number for each row of the input */
  readonly rows: tf.Tensor1D;
  /** [inFeatures] a random number for each of its features */
  readonly features: tf.Tensor1D;
  /** Share of the inputs that is dropped, one element. */
  readonly rate: tf.Tensor;
}

/**
 * Inverted dropout (Srivastava et al. 2014): keeps an element, times 1 / (1 − rate), where the fraction of row · feature
 * is at least `rate`. Products of random numbers with many whole parts have fractions that are uniform and as good as
 * independent. So a mask of rows · features elements follows from rows + features numbers, and is the same on every device
 * and after a resume.
 * @param x [rows, inFeatures]
 */
export function dropOut(x: tf.Tensor2D, dropout: DropoutTensors): tf.Tensor2D {
  return withGradient([x], (input) => {
    const mask = keptScale(dropout);
    return { value: input.mul<tf.Tensor2D>(mask), saved: [mask], gradient: (dy, mask) => dy.mul(mask) };
  });
}

/** [rows, inFeatures]: 1 / (1 − rate) for what is kept, 0 for what is dropped. */
function keptScale({ rows, features, rate }: DropoutTensors): tf.Tensor2D {
  const phases = rows.reshape([-1, 1]).mul(features);
  const kept = tf.greaterEqual(phases.sub(tf.floor(phases)), rate);
  return kept.cast('float32').div(tf.sub(1, rate));
}

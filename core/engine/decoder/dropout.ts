import * as tf from '@tensorflow/tfjs';
import { withGradient } from './custom-gradient.ts';

/** Random numbers that determine the dropout mask of one module, for the inputs of LoRA's A. */
export interface DropoutTensors {
  /** [rows] random number of each row of the input */
  readonly rows: tf.Tensor1D;
  /** [inFeatures] random number of each input feature */
  readonly features: tf.Tensor1D;
  /** Share of the inputs that are dropped, a tensor of one element. */
  readonly rate: tf.Tensor;
}

/**
 * Inverted dropout (Srivastava et al. 2014): keeps an element, times 1 / (1 − rate), if the fractional part of row ·
 * feature is at least `rate`. Products of random numbers with many integer digits have fractional parts that are
 * uniform and practically independent. So a mask of rows · features elements follows from rows + features numbers, and
 * is the same on every device and after a resume.
 * @param x [rows, inFeatures]
 */
export function dropOut(x: tf.Tensor2D, dropout: DropoutTensors): tf.Tensor2D {
  return withGradient([x], (input) => {
    const mask = keptScale(dropout);
    return { value: input.mul<tf.Tensor2D>(mask), saved: [mask], gradient: (dy, mask) => dy.mul(mask) };
  });
}

/** Makes the dropout mask, [rows, inFeatures]: 1 / (1 − rate) for kept elements, 0 for dropped ones. */
function keptScale({ rows, features, rate }: DropoutTensors): tf.Tensor2D {
  const phases = rows.reshape([-1, 1]).mul(features);
  const kept = tf.greaterEqual(phases.sub(tf.floor(phases)), rate);
  return kept.cast('float32').div(tf.sub(1, rate));
}

import type * as tf from '@tensorflow/tfjs';
import { runFused } from '../eager/fused-ops.ts';
import { withGradient } from './custom-gradient.ts';

/**
 * RMSNorm, y = x · r · w with r = 1 / √(mean(x²) + ε) over the last axis (Zhang & Sennrich 2019), with frozen weights.
 * Its gradient is written out: dx = r · g − x · (r³ / n) · Σ(g · x) with g = dy · w.
 * @param x [rows, n]
 * @param weight [n]
 */
export function rmsNorm(x: tf.Tensor2D, weight: tf.Tensor1D, epsilon: number): tf.Tensor2D {
  return withGradient([x], (rows) => {
    const fused = { inputs: { x: rows, weight }, attributes: { epsilon } };
    const [value, inverse] = runFused('ReadaptRmsNorm', fused, () => normComposite(rows, weight, epsilon));
    return { value, saved: [rows, inverse, weight], gradient: normGradient };
  });
}

function normComposite(x: tf.Tensor2D, weight: tf.Tensor1D, epsilon: number): [tf.Tensor2D, tf.Tensor2D] {
  const meanSquare = x
    .square()
    .sum(-1, true)
    .mul(1 / x.shape[1]);
  const inverse = meanSquare.add(epsilon).rsqrt() as tf.Tensor2D;
  return [x.mul(inverse).mul(weight), inverse];
}

function normGradient(dy: tf.Tensor2D, x: tf.Tensor2D, inverse: tf.Tensor2D, weight: tf.Tensor1D): tf.Tensor {
  const scaled = dy.mul(weight);
  const projection = scaled.mul(x).sum(-1, true);
  const cubed = inverse
    .square()
    .mul(inverse)
    .mul(1 / x.shape[1]);
  return scaled.mul(inverse).sub(x.mul(cubed.mul(projection)));
}

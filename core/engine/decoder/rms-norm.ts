import * as tf from '@tensorflow/tfjs';
import { runFused } from '../eager/fused-ops.ts';

/**
 * RMSNorm, y = x · r · w with r = 1 / √(mean(x²) + ε) over the last axis (Zhang & Sennrich 2019), weights frozen.
 * Its gradient is written out: dx = r · g − x · (r³ / n) · Σ(g · x) with g = dy · w.
 * @param x [rows, n]
 * @param weight [n]
 */
export function rmsNorm(x: tf.Tensor2D, weight: tf.Tensor1D, epsilon: number): tf.Tensor2D {
  const normalize = tf.customGrad((...args) => {
    const [rows, save] = args as [tf.Tensor2D, tf.GradSaveFunc];
    const fused = { inputs: { x: rows, weight }, attributes: { epsilon } };
    const outputs = runFused('ReadaptRmsNorm', fused, () => normComposite(rows, weight, epsilon));
    const [value, inverse] = outputs as [tf.Tensor, tf.Tensor];
    save([rows, inverse, weight]);
    return { value, gradFunc: normGradient };
  });
  return normalize(x) as tf.Tensor2D;
}

function normComposite(x: tf.Tensor2D, weight: tf.Tensor1D, epsilon: number): tf.Tensor[] {
  const meanSquare = x
    .square()
    .sum(-1, true)
    .mul(1 / x.shape[1]);
  const inverse = meanSquare.add(epsilon).rsqrt();
  return [x.mul(inverse).mul(weight), inverse];
}

function normGradient(dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor {
  const [x, inverse, weight] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
  const scaled = dy.mul(weight);
  const projection = scaled.mul(x).sum(-1, true);
  const cubed = inverse
    .square()
    .mul(inverse)
    .mul(1 / x.shape[1]!);
  return scaled.mul(inverse).sub(x.mul(cubed.mul(projection)));
}

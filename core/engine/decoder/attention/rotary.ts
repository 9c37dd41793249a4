import * as tf from '@tensorflow/tfjs';
import { runFused } from '../../eager/fused-ops.ts';
import { withGradient } from '../custom-gradient.ts';

/** Cosines and sines of every token's angles, each [tokens, pairs]. */
export interface RotaryTables {
  readonly cos: tf.Tensor2D;
  readonly sin: tf.Tensor2D;
  /** −sin of the angles, which rotates back. */
  readonly negativeSin: tf.Tensor2D;
}

/**
 * Computes tables of rotary embeddings (Su et al. 2021).
 * @param angles [tokens, pairs] radians
 * @param scale factor of the tables, and so of the vectors that they rotate
 */
export function rotaryTables(angles: tf.Tensor2D, scale: number): RotaryTables {
  const sin = tf.sin(angles).mul<tf.Tensor2D>(scale);
  return { cos: tf.cos(angles).mul(scale), sin, negativeSin: tf.neg(sin) };
}

/**
 * Rotates each head's pairs (i, i + pairs) by their token's angles. Features beyond 2 · pairs are unchanged, and the
 * gradient rotates back.
 * @param x [tokens, heads · headDim]
 */
export function rotate(x: tf.Tensor2D, headDim: number, { cos, sin, negativeSin }: RotaryTables): tf.Tensor2D {
  return withGradient([x], (input) => ({
    value: rotatePairs(input, headDim, cos, sin),
    gradient: (dy) => rotatePairs(dy, headDim, cos, negativeSin),
  }));
}

function rotatePairs(x: tf.Tensor2D, headDim: number, cos: tf.Tensor2D, sin: tf.Tensor2D): tf.Tensor2D {
  const call = { inputs: { x, cos, sin }, attributes: { headDim } };
  const composite = (): [tf.Tensor2D] => [rotateHalves(x, headDim, cos, sin)];
  const [rotated] = runFused('ReadaptRotary', call, composite);
  return rotated;
}

function rotateHalves(x: tf.Tensor2D, headDim: number, cos: tf.Tensor2D, sin: tf.Tensor2D): tf.Tensor2D {
  const pairs = cos.shape[1];
  const heads = x.reshape<tf.Tensor3D>([x.shape[0], x.shape[1] / headDim, headDim]);
  const still = headDim - 2 * pairs;
  const parts = tf.split<tf.Tensor3D>(heads, still === 0 ? [pairs, pairs] : [pairs, pairs, still], 2);
  const [first, second, ...rest] = parts as [tf.Tensor3D, tf.Tensor3D, ...tf.Tensor3D[]];
  const [c, s] = [cos.expandDims(1), sin.expandDims(1)];
  const rotated = [
    first.mul<tf.Tensor3D>(c).sub<tf.Tensor3D>(second.mul(s)),
    second.mul<tf.Tensor3D>(c).add<tf.Tensor3D>(first.mul(s)),
  ];
  return tf.concat([...rotated, ...rest], 2).reshape(x.shape);
}

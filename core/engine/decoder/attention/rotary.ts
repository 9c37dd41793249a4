import * as tf from '@tensorflow/tfjs';
import { runFused } from '../../eager/fused-ops.ts';

/** Cosines and sines of every token's angles, each [tokens, pairs]. */
export interface RotaryTables {
  readonly cos: tf.Tensor2D;
  readonly sin: tf.Tensor2D;
  /** Turns back. */
  readonly negativeSin: tf.Tensor2D;
}

/**
 * Tables of rotary embeddings (Su et al. 2021).
 * @param angles [tokens, pairs] radians
 * @param scale multiplies the tables, and so what they turn
 */
export function rotaryTables(angles: tf.Tensor2D, scale: number): RotaryTables {
  const sin = tf.sin(angles).mul(scale) as tf.Tensor2D;
  return { cos: tf.cos(angles).mul(scale), sin, negativeSin: tf.neg(sin) };
}

/**
 * Rotates each head's pairs (i, i + pairs) by their token's angles, features beyond 2 · pairs stay as they are; the
 * gradient rotates back.
 * @param x [tokens, heads · headDim]
 */
export function rotate(x: tf.Tensor2D, headDim: number, { cos, sin, negativeSin }: RotaryTables): tf.Tensor2D {
  const rotation = tf.customGrad((input) => ({
    value: rotatePairs(input as tf.Tensor, headDim, cos, sin),
    gradFunc: (dy) => rotatePairs(dy, headDim, cos, negativeSin),
  }));
  return rotation(x) as tf.Tensor2D;
}

function rotatePairs(x: tf.Tensor, headDim: number, cos: tf.Tensor2D, sin: tf.Tensor2D): tf.Tensor {
  const call = { inputs: { x, cos, sin }, attributes: { headDim } };
  return runFused('ReadaptRotary', call, () => [rotateHalves(x as tf.Tensor2D, headDim, cos, sin)])[0]!;
}

function rotateHalves(x: tf.Tensor2D, headDim: number, cos: tf.Tensor2D, sin: tf.Tensor2D): tf.Tensor {
  const pairs = cos.shape[1];
  const heads = x.reshape([x.shape[0], x.shape[1] / headDim, headDim]) as tf.Tensor3D;
  const still = headDim - 2 * pairs;
  const [first, second, ...rest] = tf.split(heads, still === 0 ? [pairs, pairs] : [pairs, pairs, still], 2);
  const [c, s] = [cos.expandDims(1), sin.expandDims(1)];
  const turned = [first!.mul(c).sub(second!.mul(s)), second!.mul(c).add(first!.mul(s))];
  return tf.concat([...turned, ...rest], 2).reshape(x.shape);
}

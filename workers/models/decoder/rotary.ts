import * as tf from '@tensorflow/tfjs';
import { runFused } from '../../engine/fused-ops.ts';
import type { ModelConfig, RopeScaling } from '../model-config.ts';

/** Cosines and sines of every position's angles, each [length, headDim / 2]. */
export interface RotaryTables {
  readonly length: number;
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

/**
 * Rotary position angles for positions 0 … length − 1 (Su et al. 2021): position · θ^(−2i / headDim).
 * @param scale multiplies both tables; attention folds its 1 / √headDim into the queries' rotation this way
 */
export function rotaryTables(config: ModelConfig, length: number, scale = 1): RotaryTables {
  const frequencies = rotaryFrequencies(config);
  const angles = Array.from({ length }, (_, position) => frequencies.map((frequency) => position * frequency)).flat();
  return {
    length,
    cos: Float32Array.from(angles, (angle) => scale * Math.cos(angle)),
    sin: Float32Array.from(angles, (angle) => scale * Math.sin(angle)),
  };
}

/** Radians a position for each of the headDim / 2 pairs. */
export function rotaryFrequencies(config: ModelConfig): number[] {
  const pairs = config.headDim / 2;
  const base = Array.from({ length: pairs }, (_, pair) => config.ropeTheta ** (-pair / pairs));
  const scaling = config.ropeScaling;
  return scaling ? base.map((frequency) => scaledFrequency(frequency, scaling)) : base;
}

/** `linear` divides all frequencies; `llama3` only the slow ones, blending between two wavelengths (Llama 3.1). */
function scaledFrequency(frequency: number, scaling: RopeScaling): number {
  if (scaling.type === 'linear') return frequency / scaling.factor;
  const turns = (scaling.originalMaxPositionEmbeddings * frequency) / (2 * Math.PI);
  const blend = (turns - scaling.lowFreqFactor) / (scaling.highFreqFactor - scaling.lowFreqFactor);
  const kept = Math.min(1, Math.max(0, blend));
  return frequency * (kept + (1 - kept) / scaling.factor);
}

/**
 * Rotates each head's pairs (i, i + headDim / 2) by their position's angles; the gradient rotates back.
 * @param x [rows, length, heads, headDim]
 */
export function rotate(x: tf.Tensor4D, tables: RotaryTables): tf.Tensor4D {
  const rotation = tf.customGrad((input) => ({
    value: rotatePairs(input as tf.Tensor4D, tables, 1),
    gradFunc: (dy) => rotatePairs(dy as tf.Tensor4D, tables, -1),
  }));
  return rotation(x) as tf.Tensor4D;
}

function rotatePairs(x: tf.Tensor4D, tables: RotaryTables, direction: 1 | -1): tf.Tensor4D {
  const shape: [number, number] = [tables.length, x.shape[3] / 2];
  const cos = tf.tensor2d(tables.cos, shape);
  const sin = tf.tensor2d(direction === 1 ? tables.sin : tables.sin.map((value) => -value), shape);
  const [rotated] = runFused('ReadaptRotary', { inputs: { x, cos, sin } }, () => [rotateHalves(x, cos, sin)]);
  return rotated as tf.Tensor4D;
}

function rotateHalves(x: tf.Tensor4D, cos: tf.Tensor2D, sin: tf.Tensor2D): tf.Tensor {
  const [first, second] = tf.split(x, 2, 3) as [tf.Tensor4D, tf.Tensor4D];
  const [c, s] = [cos.expandDims(1), sin.expandDims(1)];
  return tf.concat([first.mul(c).sub(second.mul(s)), second.mul(c).add(first.mul(s))], 3);
}

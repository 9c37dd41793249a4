import { expectedWeights } from '../../models/architecture/architecture.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import type { PrecisionSetting } from '../../options/precisions.ts';
import { sizeOf } from '../graph/graph.ts';
import { isLayerMatrix } from '../int8/inputs.ts';

/** Bytes of a float32. */
const FLOAT = 4;

/**
 * Bytes of a base's weights in the memory of the process. In int8 each matrix of the layers is there twice, for activations
 * and for gradients, one byte for each weight; embeddings, head and norms stay in float32. `auto` may choose either, and
 * counts as the smaller.
 */
export function baseBytes(config: ModelConfig, precision: PrecisionSetting): number {
  const weights = expectedWeights(config);
  const whole = FLOAT * sum(weights.map(({ shape }) => sizeOf(shape)));
  if (precision === 'f32' || precision === 'f16') return whole;
  const rounded = sum(
    weights.map(({ name, shape }) => (isLayerMatrix(name) ? int8Bytes(shape) : FLOAT * sizeOf(shape))),
  );
  return Math.min(whole, rounded);
}

/** Bytes of the largest weight in float32, which is in memory while it is read and rounded. */
export function largestWeightBytes(config: ModelConfig): number {
  return FLOAT * Math.max(...expectedWeights(config).map(({ shape }) => sizeOf(shape)));
}

/** Two matrices of whole numbers, and a scale for each of their columns. */
function int8Bytes(shape: readonly number[]): number {
  return 2 * sizeOf(shape) + FLOAT * sum(shape);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

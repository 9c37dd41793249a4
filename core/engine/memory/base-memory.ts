import { expectedWeights } from '../../models/architecture/architecture.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import type { PrecisionSetting } from '../../options/precisions.ts';
import { sizeOf } from '../graph/graph.ts';
import { isTooSmall, layerMatrices } from '../int8/layer-weights.ts';

/** Bytes of a float32. */
const FLOAT = 4;

/**
 * Whether a base is computed in int8 by a setting. `auto` takes float32 for a base that is too small for int8, and for another
 * only where there is memory for it, so that it counts as int8.
 */
export function countsAsInt8(config: ModelConfig, precision: PrecisionSetting): boolean {
  return precision === 'int8' || (precision === 'auto' && !isTooSmall(config));
}

/**
 * Bytes of a base's weights in the memory of the process. In int8 each matrix of the layers is there in one byte for each weight
 * for activations, and once more where gradients are computed; embeddings, head and norms stay in float32.
 * @param differentiated whether gradients are computed with the base
 */
export function baseBytes(config: ModelConfig, precision: PrecisionSetting, differentiated = true): number {
  const whole = FLOAT * sum(expectedWeights(config).map(({ shape }) => sizeOf(shape)));
  if (!countsAsInt8(config, precision)) return whole;
  const matrices = layerMatrices(config).map(({ shape }) => shape);
  const scales = (axis: number) => FLOAT * sum(matrices.map((shape) => shape[axis] ?? 0));
  const size = sum(matrices.map(sizeOf));
  const forward = size + scales(0);
  const backward = size + scales(1);
  return whole - FLOAT * size + forward + (differentiated ? backward : 0);
}

/** Bytes of the largest weight in float32, which is in memory while it is read and rounded. */
export function largestWeightBytes(config: ModelConfig): number {
  return FLOAT * Math.max(...expectedWeights(config).map(({ shape }) => sizeOf(shape)));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

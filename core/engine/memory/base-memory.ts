import { expectedWeights } from '../../models/architecture/architecture.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import type { PrecisionSetting } from '../../options/precisions.ts';
import { elementCount } from '../graph/graph.ts';
import { isTooSmall, layerMatrices } from '../int8/layer-weights.ts';

/** Size of a float32 in bytes. */
const FLOAT = 4;

/**
 * Whether the memory of a base is counted as that of int8 under a precision setting. With `auto`, a base that is too
 * small for int8 uses float32. Any other base uses float32 only if the memory suffices, so it counts as int8.
 */
export function countsAsInt8(config: ModelConfig, precision: PrecisionSetting): boolean {
  return precision === 'int8' || (precision === 'auto' && !isTooSmall(config));
}

/**
 * Size of a base's weights in the process's memory, in bytes. In int8, each matrix of the layers takes one byte per
 * weight for activations, and another one if gradients are computed; embeddings, head and norms stay in float32.
 * @param differentiated whether gradients are computed with the base
 */
export function baseBytes(config: ModelConfig, precision: PrecisionSetting, differentiated = true): number {
  const whole = FLOAT * sum(expectedWeights(config).map(({ shape }) => elementCount(shape)));
  if (!countsAsInt8(config, precision)) return whole;
  const matrices = layerMatrices(config).map(({ shape }) => shape);
  const scales = (axis: number) => FLOAT * sum(matrices.map((shape) => shape[axis] ?? 0));
  const size = sum(matrices.map(elementCount));
  const forward = size + scales(0);
  const backward = size + scales(1);
  return whole - FLOAT * size + forward + (differentiated ? backward : 0);
}

/** Size of the largest weight in float32, in bytes. It is in memory while it is read and rounded. */
export function largestWeightBytes(config: ModelConfig): number {
  return FLOAT * Math.max(...expectedWeights(config).map(({ shape }) => elementCount(shape)));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

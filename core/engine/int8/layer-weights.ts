import { expectedWeights, type WeightSpec } from '../../models/architecture/architecture.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import { sizeOf } from '../graph/graph.ts';
import { isLayerMatrix } from './inputs.ts';

/** Bases with fewer weights in their layers' matrices gain little from int8 (docs/devices.md). */
const SMALLEST_BASE = 16e6;

/** Returns the matrices of a base's layers, in the architecture's order. */
export function layerMatrices(config: ModelConfig): WeightSpec[] {
  return expectedWeights(config).filter(({ name }) => isLayerMatrix(name));
}

/** Returns how many weights the matrices of a base's layers have together. */
export function layerWeights(config: ModelConfig): number {
  return layerMatrices(config).reduce((total, { shape }) => total + sizeOf(shape), 0);
}

/** Whether a base is so small that float32 is chosen for it without a measurement. */
export function isTooSmall(config: ModelConfig): boolean {
  return layerWeights(config) < SMALLEST_BASE;
}

import { expectedWeights, type WeightSpec } from '../../models/architecture/architecture.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import { elementCount } from '../graph/graph.ts';
import { isLayerMatrix } from './inputs.ts';

/** Number of weights in layer matrices below which a base gains little from int8 (docs/devices.md). */
const SMALLEST_BASE = 16e6;

/** Returns the matrices of a base's layers, in the architecture's order. */
export function layerMatrices(config: ModelConfig): WeightSpec[] {
  return expectedWeights(config).filter(({ name }) => isLayerMatrix(name));
}

/** Returns the total number of weights in the matrices of a base's layers. */
export function layerWeights(config: ModelConfig): number {
  return layerMatrices(config).reduce((total, { shape }) => total + elementCount(shape), 0);
}

/** Whether the layers of a base have so few weights that float32 is chosen without measuring int8. */
export function isTooSmall(config: ModelConfig): boolean {
  return layerWeights(config) < SMALLEST_BASE;
}

import type { LoraFactors } from '../../models/lora/adapter.ts';
import type { ModuleEvolution } from '../evolution/evolution.ts';
import { rowNormsAt } from '../evolution/row-norms.ts';
import type { Coefficients } from './coefficients.ts';

/**
 * DoRA's magnitude of a fused module, m′ = alpha · m + (1 − alpha) · ‖W_new + beta · (W_new − W_old)‖ by rows,
 * [outFeatures] (our reading of the paper for DoRA). A magnitude states the norm of an adapted row itself, whatever
 * base is under it and whatever truncation drops of its direction. With alpha = 1 the magnitudes are therefore the old
 * adapter's: (1, 0) is the old adapter and (1, −1) has its old row norms. With alpha = 0 nothing of the adapter is left
 * in them: (0, 0) is the new base itself, and (0, −1) has the row norms of the old base.
 * @param magnitude the old adapter's magnitude, [outFeatures]; returned as it is if alpha is 1
 */
export function fusedMagnitude(
  magnitude: Float32Array,
  change: ModuleEvolution,
  { alpha, beta }: Coefficients,
): Float32Array {
  if (alpha === 1) return magnitude;
  const base = rowNormsAt(change.rowSquares, beta);
  return magnitude.map((value, i) => alpha * value + (1 - alpha) * base[i]!);
}

/**
 * Replaces the old adapter's magnitude, if there is one, by the fused one.
 * @param factors fused factors that still have the old adapter's magnitude
 */
export function withFusedMagnitude(
  factors: LoraFactors,
  change: ModuleEvolution,
  coefficients: Coefficients,
): LoraFactors {
  const { magnitude } = factors;
  return magnitude ? { ...factors, magnitude: fusedMagnitude(magnitude, change, coefficients) } : factors;
}

import type { LoraFactors } from '../../models/lora/adapter.ts';
import type { Coefficients } from './coefficients.ts';
import type { ModuleEvolution } from '../evolution/evolution.ts';
import { rowNormsAt } from '../evolution/row-norms.ts';

/**
 * DoRA's magnitude of the fused adapter, m′ = alpha · m + (1 − alpha) · ‖W_new + beta · (W_new − W_old)‖ by rows, [outFeatures]. DoRA states the norms of the adapted rows themselves, whatever the base under them and whatever
 * truncation leaves out of their directions. With alpha = 1 they are therefore the old adapter's, as it was trained:
 * (1, 0) is the old adapter, and (1, −1) its old weights. With alpha = 0 nothing of the adapter is left in them: (0, 0)
 * is the new base's weights and (0, −1) has the norms of the old base's.
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

/** @param factors fused, under DoRA with the old adapter's magnitude, in whose place the fused one comes */
export function withFusedMagnitude(
  factors: LoraFactors,
  change: ModuleEvolution,
  coefficients: Coefficients,
): LoraFactors {
  const { magnitude } = factors;
  return magnitude ? { ...factors, magnitude: fusedMagnitude(magnitude, change, coefficients) } : factors;
}

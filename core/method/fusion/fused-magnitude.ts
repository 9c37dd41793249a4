import type { LoraFactors } from '../../models/lora/adapter.ts';
import type { ModuleEvolution } from '../evolution/evolution.ts';
import type { Coefficients } from './coefficients.ts';

/**
 * Returns the norm ‖W_new + beta · (W_new − W_old)‖ of each row, [outFeatures]. With D = W_new − W_old, 2 ⟨W_new, D⟩ =
 * ‖W_new‖² − ‖W_old‖² + ‖D‖², so the squared norm is (1 + beta) ‖W_new‖² − beta ‖W_old‖² + beta (1 + beta) ‖D‖².
 * @param squares squared norms of the rows of W_old, W_new and W_new − W_old, [3, outFeatures]
 */
export function rowNormsAt(squares: Float32Array, beta: number): Float64Array {
  const rows = squares.length / 3;
  return Float64Array.from({ length: rows }, (_, i) => {
    const [before, after, delta] = [squares[i]!, squares[rows + i]!, squares[2 * rows + i]!];
    return Math.sqrt(Math.max(0, (1 + beta) * after - beta * before + beta * (1 + beta) * delta));
  });
}

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

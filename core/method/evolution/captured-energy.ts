import type { Evolution, ModuleEvolution } from './evolution.ts';

/**
 * Captured energy of one module: the share of ‖W_new − W_old‖² that its leading `rank` directions hold; 1 if nothing
 * changed. It is a lower bound of what the best directions hold: with orthonormal Q, σ_i(QᵀΔW) ≤ σ_i(ΔW) (Horn and
 * Johnson, Topics in Matrix Analysis, 1991, theorem 3.3.16).
 */
export function capturedEnergy(module: ModuleEvolution, rank: number = module.rank): number {
  if (module.deltaNorm === 0) return 1;
  const energy = module.s.subarray(0, rank).reduce((sum, value) => sum + value ** 2, 0);
  return Math.min(1, energy / module.deltaNorm ** 2);
}

/**
 * Returns the captured energy of all adaptable modules together: the share of the sum of their ‖W_new − W_old‖² that
 * the leading `rank` directions of each module hold.
 */
export function overallCapturedEnergy(evolution: Evolution, rank: number = evolution.rank): number {
  const total = evolution.adaptable.deltaNorm ** 2;
  if (total === 0) return 1;
  let captured = 0;
  for (const module of evolution.modules.values()) captured += capturedEnergy(module, rank) * module.deltaNorm ** 2;
  return captured / total;
}

/** Returns {@link overallCapturedEnergy} at ranks 1, 2, 4, … and at the evolution's own rank. */
export function energyCurve(evolution: Evolution): { readonly rank: number; readonly share: number }[] {
  const ranks: number[] = [];
  for (let rank = 1; rank < evolution.rank; rank *= 2) ranks.push(rank);
  return [...ranks, evolution.rank].map((rank) => ({ rank, share: overallCapturedEnergy(evolution, rank) }));
}

/**
 * Upper bound of {@link overallCapturedEnergy} for large matrices whose change has no structure. If the entries of an
 * [m, n] matrix are independent noise of variance v, no singular value is above √v (√m + √n), which is the edge of the
 * Marchenko–Pastur law (Math. USSR Sbornik 1, 1967), and the norm is √(v m n).
 */
export function flatEnergy(evolution: Evolution, rank: number): number {
  const total = evolution.adaptable.deltaNorm ** 2;
  if (total === 0) return 0;
  let energy = 0;
  for (const { outFeatures: m, inFeatures: n, deltaNorm } of evolution.modules.values()) {
    const share = (rank * (Math.sqrt(m) + Math.sqrt(n)) ** 2) / (m * n);
    energy += Math.min(1, share) * deltaNorm ** 2;
  }
  return energy / total;
}

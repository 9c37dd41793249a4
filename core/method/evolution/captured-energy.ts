import type { Evolution, ModuleEvolution } from './evolution.ts';

/** Share of ‖W_new − W_old‖² that the leading `rank` directions hold, over all adaptable modules. */
export interface EnergyPoint {
  readonly rank: number;
  readonly share: number;
}

/**
 * Share of ‖W_new − W_old‖² that the leading `rank` directions of a module hold; 1 where nothing changed. A lower bound
 * of what the best directions hold: with orthonormal Q, σ_i(QᵀΔW) ≤ σ_i(ΔW) (Horn and Johnson, Topics in Matrix Analysis,
 * 1991, theorem 3.3.16).
 */
export function capturedEnergy(module: ModuleEvolution, rank: number = module.rank): number {
  if (module.deltaNorm === 0) return 1;
  let energy = 0;
  for (let i = 0; i < Math.min(rank, module.rank); i++) energy += module.s[i]! ** 2;
  return Math.min(1, energy / module.deltaNorm ** 2);
}

/** The same share over all adaptable modules together. */
export function overallCapturedEnergy(evolution: Evolution, rank: number = evolution.rank): number {
  const total = evolution.adaptable.deltaNorm ** 2;
  if (total === 0) return 1;
  let captured = 0;
  for (const module of evolution.modules.values()) captured += capturedEnergy(module, rank) * module.deltaNorm ** 2;
  return captured / total;
}

/** {@link overallCapturedEnergy} at ranks 1, 2, 4, … and at the evolution's own. */
export function energyCurve(evolution: Evolution): EnergyPoint[] {
  const ranks: number[] = [];
  for (let rank = 1; rank < evolution.rank; rank *= 2) ranks.push(rank);
  return [...ranks, evolution.rank].map((rank) => ({ rank, share: overallCapturedEnergy(evolution, rank) }));
}

/**
 * What {@link overallCapturedEnergy} is at most, for large matrices, where a change has no structure: entries that are
 * independent noise of one variance v have no singular value above √v (√m + √n) (the edge of Marchenko and Pastur's
 * law, Math. USSR Sbornik 1, 1967), and a norm of √(v m n).
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

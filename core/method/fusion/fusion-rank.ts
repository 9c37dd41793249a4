import type { Adapter, LoraConfig } from '../../models/lora/adapter.ts';
import { loraSettings } from '../../models/lora/lora-config.ts';

/** Allows a fused adapter a larger rank than the old adapter's. The rank of a module never shrinks. */
interface RankGrowth {
  /** Largest rank that a module may grow to. */
  readonly cap: number;
  /**
   * Share of the energy Σ σ² of the update at revert, over all modules, that the rank must hold; the smallest such rank is
   * taken. Without it, the rank grows as far as the cap allows.
   */
  readonly energy?: number;
}

/** `keep` gives every module its old rank. */
export type FusionRank = 'keep' | RankGrowth;

/** The rank of a fused module and the LoRA scaling that belongs to it. */
export interface FusedShape {
  readonly rank: number;
  readonly scaling: number;
}

/** @throws RangeError for a cap that is not a positive integer, or an energy that is not a share */
export function checkRank(rank: FusionRank): void {
  if (rank === 'keep') return;
  const { cap, energy = 1 } = rank;
  if (!(Number.isSafeInteger(cap) && cap >= 1))
    throw new RangeError(`fusion's rank cap is ${cap}, expected a positive integer`);
  if (!(energy > 0 && energy <= 1))
    throw new RangeError(`fusion's energy is ${energy}, expected a number above 0 and at most 1`);
}

/**
 * The rank that all modules grow to, one for all so that the adapter keeps a single `r`: the smallest rank R with
 * Σ_modules Σ_{i ≤ R} σ_i² ≥ energy · Σ_modules Σ_i σ_i², but at most the cap and at most what the largest module can use.
 * @param spectra singular values of each module's update, descending
 */
export function commonRank({ cap, energy }: RankGrowth, spectra: readonly Float64Array[]): number {
  const longest = Math.max(0, ...spectra.map(({ length }) => length));
  const most = Math.min(cap, longest);
  if (energy === undefined) return most;
  const held = new Float64Array(longest);
  for (const values of spectra) values.forEach((value, i) => (held[i]! += value * value));
  let missing = (1 - energy) * held.reduce((sum, value) => sum + value, 0);
  let rank = longest;
  // Summing from the smallest value keeps small values from being lost to rounding beside large ones.
  while (rank > 0 && held[rank - 1]! <= missing) missing -= held[--rank]!;
  return Math.min(most, rank);
}

/**
 * The configuration of an adapter whose modules have at least the given rank. Each module's LoRA alpha grows with its rank
 * so that its scaling (alpha / r, or alpha / √r under rsLoRA) stays the same and fine-tuning continues with equal steps.
 */
export function grownConfig({ config, modules }: Adapter, rank: number): LoraConfig {
  const settings = [...loraSettings(config, [...modules.keys()])];
  if (settings.every(([, module]) => module.rank >= rank)) return config;
  const ranks = settings.map(([name, module]) => [name, Math.max(module.rank, rank)] as const);
  const alphas = settings.map(([name, module]) => {
    const growth = Math.max(module.rank, rank) / module.rank;
    return [name, module.alpha * (config.useRslora ? Math.sqrt(growth) : growth)] as const;
  });
  const [r, alpha] = [mostCommon(ranks), mostCommon(alphas)];
  return { ...config, rank: r, alpha, rankPattern: others(ranks, r), alphaPattern: others(alphas, alpha) };
}

/** A value for each module, by the module's whole name. */
type ModuleValues = readonly (readonly [module: string, value: number])[];

function mostCommon(values: ModuleValues): number {
  const counts = new Map<number, number>();
  for (const [, value] of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].reduce((most, next) => (next[1] > most[1] ? next : most))[0];
}

/** The modules whose value is not the common one. */
function others(values: ModuleValues, common: number): Record<string, number> {
  return Object.fromEntries(values.filter(([, value]) => value !== common));
}

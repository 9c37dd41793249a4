import type { Adapter, LoraConfig } from '../../models/lora/adapter.ts';
import { loraSettings } from '../../models/lora/lora-config.ts';

/** Lets the fused adapter have a larger rank than the old one. No module's rank becomes smaller. */
export interface RankGrowth {
  /** Largest rank that a module may grow to. */
  readonly cap: number;
  /**
   * Share of the target's energy Σ σ² at revert, over all modules, that is to be held: the smallest such rank is taken.
   * Default: all that the cap allows.
   */
  readonly energy?: number;
}

/** `keep`: every module has its old rank. */
export type FusionRank = 'keep' | RankGrowth;

/** Rank of one fused module, and the scaling that belongs to it. */
export interface FusedShape {
  readonly rank: number;
  readonly scaling: number;
}

/** @throws RangeError */
export function checkRank(rank: FusionRank): void {
  if (rank === 'keep') return;
  const { cap, energy = 1 } = rank;
  if (!(Number.isSafeInteger(cap) && cap >= 1))
    throw new RangeError(`fusion's rank cap is ${cap}, expected a positive integer`);
  if (!(energy > 0 && energy <= 1))
    throw new RangeError(`fusion's energy is ${energy}, expected a share above 0, at most 1`);
}

/**
 * One rank for all modules, so that the adapter keeps a single `r`: the smallest that holds the share of energy, at most
 * the cap and at most what the largest module can use.
 * @param spectra singular values of each module's target, descending
 */
export function commonRank({ cap, energy }: RankGrowth, spectra: readonly Float64Array[]): number {
  const longest = Math.max(0, ...spectra.map(({ length }) => length));
  const most = Math.min(cap, longest);
  if (energy === undefined) return most;
  const held = new Float64Array(longest);
  for (const values of spectra) values.forEach((value, i) => (held[i]! += value * value));
  let missing = (1 - energy) * held.reduce((sum, value) => sum + value, 0);
  let rank = longest;
  // From the smallest end: sums of what is left out do not drown in the large values.
  while (rank > 0 && held[rank - 1]! <= missing) missing -= held[--rank]!;
  return Math.min(most, rank);
}

/**
 * The configuration of an adapter whose modules have at least the given rank. Every module's alpha grows with its rank
 * so that its scaling stays what it was (alpha / r, or alpha / √r under rsLoRA): fine-tuning goes on with the same steps.
 */
export function grownConfig({ config, modules }: Adapter, rank: number): LoraConfig {
  const names = [...modules.keys()];
  const settings = [...loraSettings(config, names).values()];
  if (settings.every((module) => module.rank >= rank)) return config;
  const ranks = settings.map((module) => Math.max(module.rank, rank));
  const alphas = settings.map((module, i) => {
    const growth = ranks[i]! / module.rank;
    return module.alpha * (config.useRslora ? Math.sqrt(growth) : growth);
  });
  const [r, alpha] = [mostCommon(ranks), mostCommon(alphas)];
  return {
    ...config,
    rank: r,
    alpha,
    rankPattern: others(names, ranks, r),
    alphaPattern: others(names, alphas, alpha),
  };
}

function mostCommon(values: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].reduce((most, next) => (next[1] > most[1] ? next : most))[0];
}

/** Modules whose value is not the common one, each by its whole name. */
function others(names: readonly string[], values: readonly number[], common: number): Record<string, number> {
  return Object.fromEntries(names.flatMap((name, i) => (values[i] === common ? [] : [[name, values[i]!]])));
}

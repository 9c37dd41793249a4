import type { Adapter, LoraConfig } from '../../models/lora/adapter.ts';
import { loraSettings } from '../../models/lora/lora-config.ts';

/** Rank of a fused module, with the LoRA scaling (alpha / r or alpha / √r) that it gets. */
export interface FusedShape {
  readonly rank: number;
  readonly scaling: number;
}

/**
 * Returns the configuration of an adapter whose modules have at least the given rank. Each module's LoRA alpha grows
 * with its rank so that its scaling (alpha / r, or alpha / √r under rsLoRA) stays the same and fine-tuning continues
 * with equal steps.
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

/** List of modules, each by its full name with a value such as its rank. */
type ModuleValues = readonly (readonly [module: string, value: number])[];

function mostCommon(values: ModuleValues): number {
  const counts = new Map<number, number>();
  for (const [, value] of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].reduce((most, next) => (next[1] > most[1] ? next : most))[0];
}

/** Returns the modules whose value differs from `common`, each with its value. */
function others(values: ModuleValues, common: number): Record<string, number> {
  return Object.fromEntries(values.filter(([, value]) => value !== common));
}

import type { LoraConfig } from './adapter.ts';
import { firstSuffixMatches, type MatchingTime } from './module-pattern.ts';

/** Rank and scaling of one adapted module. */
export interface LoraModuleSettings {
  readonly rank: number;
  readonly alpha: number;
  /** Factor s of the update B A: alpha / rank, or alpha / √rank under rsLoRA. */
  readonly scaling: number;
}

/**
 * Determines rank, alpha and scaling of each module. `rank_pattern` and `alpha_pattern` are looked up independently,
 * the first key that matches wins, and `r` and `lora_alpha` apply to the other modules (PEFT,
 * `LoraModel._create_and_replace`).
 * @param modules names such as `model.layers.0.self_attn.q_proj`
 * @param time time budget of all matching; by default, each of the two patterns has a full budget of its own
 * @throws PatternError for a key that is not a usable regular expression
 */
export function loraSettings(
  config: LoraConfig,
  modules: readonly string[],
  time?: MatchingTime,
): Map<string, LoraModuleSettings> {
  const find = (keys: readonly string[]) => firstSuffixMatches(keys, modules, time);
  const rankOf = lookUp(config.rankPattern, config.rank, find);
  const alphaOf = lookUp(config.alphaPattern, config.alpha, find);
  return new Map(
    modules.map((name, i) => {
      const [rank, alpha] = [rankOf(i), alphaOf(i)];
      return [name, { rank, alpha, scaling: loraScaling(rank, alpha, config.useRslora) }];
    }),
  );
}

/** Computes the scaling of LoRA's update: alpha / rank, or alpha / √rank under rsLoRA (arXiv 2312.03732). */
function loraScaling(rank: number, alpha: number, useRslora: boolean): number {
  return alpha / (useRslora ? Math.sqrt(rank) : rank);
}

type Lookup = (module: number) => number;

function lookUp(
  pattern: Readonly<Record<string, number>>,
  fallback: number,
  find: (keys: readonly string[]) => number[],
): Lookup {
  const values = Object.values(pattern);
  const matches = find(Object.keys(pattern));
  return (module) => values[matches[module]!] ?? fallback;
}

import type { ModelConfig } from '../../models/config/model-config.ts';
import type { ServingProfile } from '../../options/serving-profile.ts';
import { adaptedModules } from './peft-adapter.ts';

/** The part of an adapter that decides whether an engine serves it. Plain JSON. */
export interface ServedFeatures {
  /** The module with the largest rank. */
  readonly largest: { readonly module: string; readonly rank: number };
  readonly dora: boolean;
  readonly rslora: boolean;
  /** The first module whose rank or alpha is not the adapter's own; null if there is none. */
  readonly patterned: string | null;
  /** A module for each last part of a name, such as `q_proj`. */
  readonly modules: Readonly<Record<string, string>>;
}

/** Why engines would refuse an adapter. */
export interface ServingRefusal {
  /** The member of the profile that it breaks. */
  readonly feature: keyof ServingProfile;
  /** The module concerned; null if all of them are. */
  readonly module: string | null;
  readonly found: number | string;
  readonly allowed: number | string | readonly string[];
  readonly message: string;
}

/**
 * Reads what decides whether an engine serves the adapter, from its config alone.
 * @throws FormatError
 */
export async function readServedFeatures(folder: string, base: ModelConfig): Promise<ServedFeatures> {
  const { config, modules } = await adaptedModules(folder, base);
  const [first] = modules;
  const largest = modules.reduce((most, module) => (module.rank > most.rank ? module : most), first!);
  const patterned = modules.find(({ rank, alpha }) => rank !== config.rank || alpha !== config.alpha);
  return {
    largest: { module: largest.name, rank: largest.rank },
    dora: config.useDora,
    rslora: config.useRslora,
    patterned: patterned?.name ?? null,
    modules: Object.fromEntries(modules.map(({ name }) => [lastPart(name), name])),
  };
}

/** The first thing for which the engines of a profile would refuse an adapter; null if they serve it. */
export function servingRefusal(profile: ServingProfile | null, features: ServedFeatures): ServingRefusal | null {
  if (profile === null) return null;
  const { max_rank: maxRank = Infinity, modules: names = null } = profile;
  const { largest, patterned } = features;
  if (largest.rank > maxRank) {
    const message = `module ${largest.module} has rank ${largest.rank}, and the engines serve at most rank ${maxRank}`;
    return { feature: 'max_rank', module: largest.module, found: largest.rank, allowed: maxRank, message };
  }
  if (features.dora && profile.dora === false) return method('dora', 'DoRA', 'LoRA without magnitudes');
  if (features.rslora && profile.rslora === false) return method('rslora', 'rsLoRA', 'the scaling alpha / rank');
  if (patterned !== null && profile.rank_patterns === false) {
    const message = `module ${patterned} has a rank or an alpha of its own, and the engines serve one rank and one alpha for all modules`;
    const [found, allowed] = ['rank_pattern or alpha_pattern', 'one rank and one alpha'];
    return { feature: 'rank_patterns', module: patterned, found, allowed, message };
  }
  const other = names === null ? undefined : Object.keys(features.modules).find((name) => !names.includes(name));
  if (names === null || other === undefined) return null;
  const module = features.modules[other]!;
  const message = `module ${module} is adapted, and the engines serve only adapters of ${names.join(', ')}`;
  return { feature: 'modules', module, found: other, allowed: names, message };
}

function method(feature: 'dora' | 'rslora', found: string, allowed: string): ServingRefusal {
  const message = `the adapter is one of ${found}, which the engines do not serve; they serve ${allowed}`;
  return { feature, module: null, found, allowed, message };
}

function lastPart(module: string): string {
  return module.slice(module.lastIndexOf('.') + 1);
}

/** The largest rank that a fused adapter may grow to: what a job asks for, as far as the profile allows it. 0 keeps the old rank. */
export function servedFusionRank(wanted: number, profile: ServingProfile | null): number {
  return Math.min(wanted, profile?.max_rank ?? wanted);
}

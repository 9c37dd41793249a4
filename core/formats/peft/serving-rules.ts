import type { ModelConfig } from '../../models/config/model-config.ts';
import type { ServingProfile } from '../../options/serving-profile.ts';
import { adaptedModules } from './peft-adapter.ts';

/** Features of an adapter that decide whether an engine serves it, as plain JSON. */
export interface ServedFeatures {
  /** Module with the largest rank, and that rank. */
  readonly largest: { readonly module: string; readonly rank: number };
  readonly dora: boolean;
  readonly rslora: boolean;
  /**
   * First module whose rank or alpha is not the adapter's general one (`r`, `lora_alpha`); null if no module differs.
   */
  readonly patterned: string | null;
  /**
   * Adapted modules by the last part of their names, such as `q_proj`. One full name stands for all modules with the
   * same last part.
   */
  readonly modules: Readonly<Record<string, string>>;
}

/** Reason why engines would refuse an adapter. */
export interface ServingRefusal {
  /** Field of the serving profile that the adapter violates. */
  readonly feature: keyof ServingProfile;
  /** Name of the module that engines would refuse; null if they would refuse the adapter as a whole. */
  readonly module: string | null;
  readonly found: number | string;
  readonly allowed: number | string | readonly string[];
  readonly message: string;
}

/**
 * Reads the features that decide whether an engine serves the adapter, from its config alone.
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

/** Returns the first reason why the engines of a profile would refuse an adapter; null if they serve it. */
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
    const [found, allowed] = ['rank_pattern or alpha_pattern', 'one rank and one alpha'];
    const served = `and the engines serve ${allowed} for all modules`;
    const message = `module ${patterned} has a rank or an alpha of its own, ${served}`;
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

/**
 * Returns the rank requested for fused adapters, limited to the profile's largest rank. A requested rank of 0, which
 * keeps the old adapter's rank, stays 0.
 */
export function servedFusionRank(wanted: number, profile: ServingProfile | null): number {
  return Math.min(wanted, profile?.max_rank ?? wanted);
}

import type { ServedFeatures } from '../../../core/formats/peft/serving-rules.ts';

/**
 * Features of an adapter version that decide whether an engine can serve it, as the version's row stores them. They are
 * plain JSON, so that database queries can compare them with serving profiles.
 */
export interface KeptFeatures {
  /** Largest LoRA rank of all adapted modules. */
  readonly rank: number;
  readonly dora: boolean;
  readonly rslora: boolean;
  /** Whether some modules have a LoRA rank or alpha that differs from that of the others. */
  readonly patterned: boolean;
  /** Kinds of the adapted modules: the last parts of the modules' names, such as `q_proj`. */
  readonly modules: readonly string[];
}

export function keptFeatures({ largest, dora, rslora, patterned, modules }: ServedFeatures) {
  return { rank: largest.rank, dora, rslora, patterned: patterned !== null, modules: Object.keys(modules).sort() };
}

/**
 * Derives the features of a carried-over version from the features of its source version. The carried-over version
 * adapts the same modules. If modules of the source version have ranks of their own, modules of the carried-over
 * version have them too.
 *
 * @param source features of the source version, as its row stores them
 * @returns undefined if the features of the source version are not known
 */
export function carriedFeatures(
  source: unknown,
  { rank, useDora: dora, useRslora: rslora }: { rank: number; useDora: boolean; useRslora: boolean },
) {
  const kept = source as KeptFeatures | null;
  if (kept === null) return undefined;
  return { ...kept, modules: [...kept.modules], rank: kept.patterned ? Math.max(rank, kept.rank) : rank, dora, rslora };
}

import type { ServedFeatures } from '../../../core/formats/peft/serving-rules.ts';

/**
 * Features of a version that decide whether an engine can serve it. The row stores them as plain JSON, which the
 * database compares with serving profiles.
 */
export interface KeptFeatures {
  /** Largest rank of any module. */
  readonly rank: number;
  readonly dora: boolean;
  readonly rslora: boolean;
  /** Whether a module has a rank or an alpha of its own. */
  readonly patterned: boolean;
  /** Last parts of the adapted modules' names, such as `q_proj`. */
  readonly modules: readonly string[];
}

export function keptFeatures({ largest, dora, rslora, patterned, modules }: ServedFeatures) {
  return { rank: largest.rank, dora, rslora, patterned: patterned !== null, modules: Object.keys(modules).sort() };
}

/**
 * Features of a version that a rollout carried over: it adapts the modules of its source, with the source's patterns.
 * @param source the features in the source's row
 * @returns undefined if the source's features are not known
 */
export function carriedFeatures(
  source: unknown,
  { rank, useDora: dora, useRslora: rslora }: { rank: number; useDora: boolean; useRslora: boolean },
) {
  const kept = source as KeptFeatures | null;
  if (kept === null) return undefined;
  return { ...kept, modules: [...kept.modules], rank: kept.patterned ? Math.max(rank, kept.rank) : rank, dora, rslora };
}

import type { ServedFeatures } from '../../../core/formats/peft/serving-rules.ts';

/**
 * Features of a version that decide whether an engine can serve it, as stored in its row. Plain JSON, which the
 * database compares with serving profiles.
 */
export interface KeptFeatures {
  /** The largest of a module. */
  readonly rank: number;
  readonly dora: boolean;
  readonly rslora: boolean;
  /** Whether a module has a rank or an alpha of its own. */
  readonly patterned: boolean;
  /** The last parts of the names of the modules that are adapted. */
  readonly modules: readonly string[];
}

export function keptFeatures({ largest, dora, rslora, patterned, modules }: ServedFeatures) {
  return { rank: largest.rank, dora, rslora, patterned: patterned !== null, modules: Object.keys(modules).sort() };
}

/**
 * The features of a version that was carried over: it adapts the modules of its source, with the source's patterns.
 * @param source those of the source as its row keeps them
 * @returns undefined where the source's are not known
 */
export function carriedFeatures(
  source: unknown,
  { rank, useDora: dora, useRslora: rslora }: { rank: number; useDora: boolean; useRslora: boolean },
) {
  const kept = source as KeptFeatures | null;
  if (kept === null) return undefined;
  return { ...kept, modules: [...kept.modules], rank: kept.patterned ? Math.max(rank, kept.rank) : rank, dora, rslora };
}

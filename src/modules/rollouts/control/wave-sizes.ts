import type { RolloutPolicy } from '../../jobs/index.ts';

/**
 * Returns the places, from 1, of the last adapter of each wave but the last. A percentage is of all adapters, rounded, and at least one of
 * them. Waves for which no adapters are left fall away.
 */
export function waveEnds(waves: NonNullable<RolloutPolicy['waves']>, adapters: number): number[] {
  const ends: number[] = [];
  let end = 0;
  for (const wave of waves) {
    end += 'count' in wave ? wave.count : Math.max(1, Math.round((adapters * wave.percent) / 100));
    if (end >= adapters) break;
    ends.push(end);
  }
  return ends;
}

import { createHash } from 'node:crypto';
import type { StoredOptions } from './rollout.schemas.ts';

/**
 * Chooses the adapters that also get a control. A sample consists of those with the smallest hash of seed and
 * identifier, so a seed always chooses the same adapters, and a larger fraction only adds to them.
 */
export function chooseControls(adapterIds: readonly string[], options: StoredOptions): Set<string> {
  if (options.control === 'none') return new Set();
  if (options.control === 'all') return new Set(adapterIds);
  const count = Math.round(adapterIds.length * options.control_fraction);
  const ranked = adapterIds.map((id) => ({ id, rank: rankOf(options.seed, id) }));
  ranked.sort((a, b) => (a.rank < b.rank ? -1 : 1));
  return new Set(ranked.slice(0, count).map(({ id }) => id));
}

function rankOf(seed: number, id: string): string {
  return createHash('sha256').update(`${seed}:${id}`).digest('hex');
}

import type { ServedVersion } from '../remote/client.ts';

/** What is current on the base model version that the engines of a pool serve. */
export interface Pool {
  /** Name of the InferencePool. */
  readonly name: string;
  /** What its engines call their base. */
  readonly servingName: string;
  readonly served: readonly ServedVersion[];
}

/** Versions in the order of their engine names, which no clock and no order of answers changes. */
export function sorted(served: readonly ServedVersion[]): ServedVersion[] {
  return [...served].sort((one, other) => (one.name < other.name ? -1 : Number(one.name > other.name)));
}

/**
 * What moves to each pool but the first: the adapters that are current there and on none of the later ones. All others, and those of
 * which nothing is known, stay on the first.
 */
export function movedTo(pools: readonly Pool[]): { pool: Pool; moved: ServedVersion[] }[] {
  const taken = new Set<string>();
  return pools
    .slice(1)
    .reverse()
    .map((pool) => {
      const moved = sorted(pool.served.filter(({ adapter_id: adapter }) => !taken.has(adapter)));
      for (const { adapter_id: adapter } of moved) taken.add(adapter);
      return { pool, moved };
    })
    .reverse();
}

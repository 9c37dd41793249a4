import type { ServedVersion } from '../remote/client.ts';

/** Pool of engines that serve one base model version, with the adapter versions that are current on it. */
export interface Pool {
  /** Name of the InferencePool. */
  readonly name: string;
  /** Name of the base in the pool's engines. */
  readonly servingName: string;
  readonly served: readonly ServedVersion[];
}

/** Sorts versions by their engine names, so that equal versions always give equal files. */
export function sorted(served: readonly ServedVersion[]): ServedVersion[] {
  return [...served].sort((one, other) => (one.name < other.name ? -1 : Number(one.name > other.name)));
}

/**
 * Adapters that move to each pool but the first: those that are current there and on no later pool. All others,
 * including unknown ones, stay on the first pool.
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

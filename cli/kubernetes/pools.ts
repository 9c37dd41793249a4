import type { ServedVersion } from '../remote/client.ts';

/** Pool of engines that serve one base model version, with the adapter versions to serve on it. */
export interface Pool {
  /** Name of the InferencePool. */
  readonly name: string;
  /** Name that the pool's engines give the base. */
  readonly servingName: string;
  readonly served: readonly ServedVersion[];
}

/** Sorts versions by their engine names, so that equal versions always give equal files. */
export function sorted(served: readonly ServedVersion[]): ServedVersion[] {
  return [...served].sort((one, other) => (one.name < other.name ? -1 : Number(one.name > other.name)));
}

/**
 * Finds the adapters that each pool but the first serves: those with a current version on that pool and on no later
 * one. The first pool serves all other adapters, including unknown ones.
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

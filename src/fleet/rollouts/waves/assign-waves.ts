import type { RolloutPolicy } from '../policy.schemas.ts';

type Wave = NonNullable<RolloutPolicy['waves']>[number];

/** An adapter of a rollout that decides its waves. */
export interface RankedAdapter {
  readonly adapter_id: string;
  /** Its place in the order of the waves. */
  readonly rank: string;
  /** Whether it has the label of each wave that goes by one, in the order of these waves. */
  readonly labelled: readonly boolean[];
}

/** Which adapters are in which wave. */
export interface AssignedWaves {
  /**
   * For each wave but the last, the largest rank of those that it takes by size. A wave that takes adapters by label has the limit of the
   * wave before, or an empty one, so it takes none by rank.
   */
  readonly limits: readonly string[];
  /** The adapters that are in a wave by their label. */
  readonly members: readonly { readonly adapterId: string; readonly wave: number }[];
}

/** The labels of the waves that go by one, in their order. */
export const labelsOfWaves = (waves: readonly Wave[]) => waves.flatMap((wave) => ('label' in wave ? [wave.label] : []));

/**
 * Decides the waves of a rollout one after the other: each takes of those that are left the ones with its label, or so many by rank. The
 * last wave takes the rest. Waves for which none are left fall away; one whose label no adapter has stays, and is empty.
 * @param adapters all adapters of the rollout, by rank
 */
export function assignWaves(waves: readonly Wave[], adapters: readonly RankedAdapter[]): AssignedWaves {
  const limits: string[] = [];
  const members: AssignedWaves['members'][number][] = [];
  let left = adapters;
  let labels = 0;
  for (const [index, wave] of waves.entries()) {
    const before = limits.at(-1) ?? '';
    if ('label' in wave) {
      const label = labels++;
      const taken = left.filter(({ labelled }) => labelled[label]);
      members.push(...taken.map(({ adapter_id: adapterId }) => ({ adapterId, wave: index + 1 })));
      left = left.filter(({ labelled }) => !labelled[label]);
      limits.push(before);
    } else {
      const size = sizeOf(wave, adapters.length);
      limits.push(left[size - 1]?.rank ?? before);
      left = left.slice(size);
    }
    // The wave that takes the last ones is the last.
    if (left.length === 0) return { limits: limits.slice(0, -1), members };
  }
  return { limits, members };
}

/** Number of adapters of each wave, the last one included. */
export function sizesOfWaves({ limits, members }: AssignedWaves, adapters: readonly RankedAdapter[]): number[] {
  const waveOf = new Map(members.map(({ adapterId, wave }) => [adapterId, wave]));
  const sizes = Array.from({ length: limits.length + 1 }, () => 0);
  for (const { adapter_id: id, rank } of adapters) {
    const wave = waveOf.get(id) ?? 1 + limits.filter((limit) => rank > limit).length;
    sizes[wave - 1]!++;
  }
  return sizes;
}

/** A percentage is of all adapters, rounded, and at least one of them. */
function sizeOf(wave: Exclude<Wave, { label: unknown }>, adapters: number): number {
  return 'count' in wave ? wave.count : Math.max(1, Math.round((adapters * wave.percent) / 100));
}

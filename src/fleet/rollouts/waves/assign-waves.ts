import type { RolloutPolicy } from '../policy.schemas.ts';

type Wave = NonNullable<RolloutPolicy['waves']>[number];

/** Adapter of a rollout, with the data that decide which wave it is in. */
export interface RankedAdapter {
  readonly adapter_id: string;
  /**
   * Hash of the identifiers of rollout and adapter, which orders the adapters. Those with smaller ranks enter earlier
   * waves.
   */
  readonly rank: string;
  /** Whether the adapter has all labels of a wave: one value for each wave by label, in the order of these waves. */
  readonly labelled: readonly boolean[];
}

/** Result of dividing the adapters of a rollout into waves, by rank and by label. */
export interface AssignedWaves {
  /**
   * Largest order hash ({@link RankedAdapter.rank}) of each wave but the last: an adapter is in the first wave whose
   * limit its hash does not exceed. A wave of labelled adapters repeats the limit of the wave before it, or has the
   * empty text if it is the first, so that no adapter enters it by its hash.
   */
  readonly limits: readonly string[];
  /** Adapters that are in a wave because of their labels, whatever their ranks. */
  readonly members: readonly { readonly adapterId: string; readonly wave: number }[];
}

/** Lists the labels of those waves that are chosen by label, in the order of the waves. */
export const labelsOfWaves = (waves: readonly Wave[]) => waves.flatMap((wave) => ('label' in wave ? [wave.label] : []));

/**
 * Divides the adapters of a rollout into waves, one wave after the other. From the adapters that are left, a wave takes
 * those with its labels, or a number of them by rank. The adapters that no wave has taken form the last wave. Once no
 * adapters are left, the further waves are dropped. A wave by label that matches none of the adapters that are left
 * stays, and is empty.
 * @param adapters all adapters of the rollout, in the order of their ranks
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
    // The wave that takes the last adapters becomes the last wave.
    if (left.length === 0) return { limits: limits.slice(0, -1), members };
  }
  return { limits, members };
}

/** Counts the adapters in each wave, including the last. */
export function sizesOfWaves({ limits, members }: AssignedWaves, adapters: readonly RankedAdapter[]): number[] {
  const waveOf = new Map(members.map(({ adapterId, wave }) => [adapterId, wave]));
  const sizes = Array.from({ length: limits.length + 1 }, () => 0);
  for (const { adapter_id: id, rank } of adapters) {
    const wave = waveOf.get(id) ?? 1 + limits.filter((limit) => rank > limit).length;
    sizes[wave - 1]!++;
  }
  return sizes;
}

/**
 * Computes the number of adapters of a wave by count or by percentage. A percentage is of all adapters of the rollout,
 * rounded, and gives at least one adapter.
 */
function sizeOf(wave: Exclude<Wave, { label: unknown }>, adapters: number): number {
  return 'count' in wave ? wave.count : Math.max(1, Math.round((adapters * wave.percent) / 100));
}

import type { RolloutPolicy } from '../policy.schemas.ts';

type Wave = NonNullable<RolloutPolicy['waves']>[number];

/** Adapter of a rollout, with the data that decide its wave. */
export interface RankedAdapter {
  readonly adapter_id: string;
  /** Place in the order of the waves. */
  readonly rank: string;
  /** Whether the adapter has the label of each wave with a label, in the order of these waves. */
  readonly labelled: readonly boolean[];
}

/** Assignment of adapters to waves. */
export interface AssignedWaves {
  /**
   * Largest rank in each wave that is sized by number; the last wave has none. A wave by label repeats the limit before
   * it, or has an empty one, so that no adapter enters it by rank.
   */
  readonly limits: readonly string[];
  /** Adapters that are in a wave by label. */
  readonly members: readonly { readonly adapterId: string; readonly wave: number }[];
}

/** Labels of the waves by label, in their order. */
export const labelsOfWaves = (waves: readonly Wave[]) => waves.flatMap((wave) => ('label' in wave ? [wave.label] : []));

/**
 * Decides the waves of a rollout one after the other. From the adapters left, each wave takes those with its label, or
 * a number of them by rank. The last wave takes the rest. Waves without adapters left are dropped; a wave whose label
 * no adapter has stays, and is empty.
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
    // The wave that takes the last adapters becomes the last wave.
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

/** Size of a wave. A percentage is of all adapters, rounded, and at least one adapter. */
function sizeOf(wave: Exclude<Wave, { label: unknown }>, adapters: number): number {
  return 'count' in wave ? wave.count : Math.max(1, Math.round((adapters * wave.percent) / 100));
}

import type { TokenizedExample } from '../../data/example.ts';
import type { GateMeasurement } from '../../method/gate/readiness-gate.ts';
import { judgesRows } from '../../options/metrics.ts';

/**
 * Gate row that the reference version had right and a candidate has wrong, given by its line and its slices. The texts
 * of the row are left out.
 */
export interface NegativeFlip {
  /** Line number of the row in its file, from 1. */
  readonly row: number;
  readonly slices: readonly string[];
}

/** Largest number of negative flips that are listed. The share of negative flips counts those beyond it as well. */
export const MAX_LISTED_FLIPS = 1000;

/**
 * Lists the gate rows that the reference version had right and a candidate has wrong: the first {@link
 * MAX_LISTED_FLIPS}, in the order of the rows in their file. The list is empty for a metric whose rows are neither
 * right nor wrong, and without a reference version.
 */
export function negativeFlips(
  gate: readonly TokenizedExample[],
  reference: GateMeasurement | null,
  { metric, outcomes }: Pick<GateMeasurement, 'metric' | 'outcomes'>,
): NegativeFlip[] {
  if (!reference || !judgesRows(metric.name)) return [];
  const before = reference.outcomes.values;
  return gate
    .flatMap(({ row: { line = 0, slices = [] } }, index) =>
      before[index]! > 0.5 && outcomes.values[index]! < 0.5 ? [{ row: line, slices: [...new Set(slices)] }] : [],
    )
    .sort((a, b) => a.row - b.row)
    .slice(0, MAX_LISTED_FLIPS);
}

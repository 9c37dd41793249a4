import type { TokenizedExample } from '../../data/example.ts';
import type { GateMeasurement } from '../../method/gate/readiness-gate.ts';

/** The metric on those gate rows that name a slice. */
export interface SliceValue {
  readonly rows: number;
  readonly value: number;
}

/** Values by the name of the slice, in the order of the names. */
export type SliceValues = Readonly<Record<string, SliceValue>>;

/** Breaks a measurement on the gate rows down by the slices that the rows name; empty if none names any. */
export function sliceValues(
  gate: readonly TokenizedExample[],
  { metric, outcomes }: Pick<GateMeasurement, 'metric' | 'outcomes'>,
): SliceValues {
  const members = new Map<string, number[]>();
  for (const [index, { row }] of gate.entries()) {
    for (const name of new Set(row.slices)) members.set(name, [...(members.get(name) ?? []), index]);
  }
  const total = (rows: readonly number[], values: ArrayLike<number>): number =>
    rows.reduce((sum, row) => sum + values[row]!, 0);
  return Object.fromEntries(
    [...members]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, rows]) => {
        const count = metric.name === 'loss' ? total(rows, outcomes.tokens) : rows.length;
        return [name, { rows: rows.length, value: total(rows, outcomes.values) / count }];
      }),
  );
}

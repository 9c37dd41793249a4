import type { TokenizedExample } from '../../data/example.ts';
import { TaskDataError } from '../../data/task-data.ts';
import { valueOn } from '../../method/gate/measured-rows.ts';
import type { GateMeasurement, SliceRows } from '../../method/gate/readiness-gate.ts';
import { criticalSlices, type GateRule } from '../../options/gates.ts';

/** Metric on the gate rows of one slice, with the number of these rows. */
export interface SliceValue {
  readonly rows: number;
  readonly value: number;
}

/** Metric on each slice, by the name of the slice, and sorted by these names. */
export type SliceValues = Readonly<Record<string, SliceValue>>;

/** Returns the indices of the gate rows of each slice, sorted by the slice's name. */
export function sliceRows(gate: readonly TokenizedExample[]): SliceRows {
  const members = new Map<string, number[]>();
  for (const [index, { row }] of gate.entries()) {
    for (const name of new Set(row.slices)) {
      const rows = members.get(name);
      if (rows) rows.push(index);
      else members.set(name, [index]);
    }
  }
  return new Map([...members].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Returns the metric on the measured gate rows of each slice; empty if none of them names a slice. */
export function sliceValues(
  rows: SliceRows,
  { metric, outcomes }: Pick<GateMeasurement, 'metric' | 'outcomes'>,
): SliceValues {
  return Object.fromEntries(
    [...rows].flatMap(([name, members]) => {
      const measured = members.filter((row) => row < metric.rows);
      if (measured.length === 0) return [];
      return [[name, { rows: measured.length, value: valueOn(metric.name, outcomes, measured) }]];
    }),
  );
}

/** Largest number of slice names that an error message lists. */
const LISTED_NAMES = 10;

/**
 * Checks that each critical slice of the gate has gate rows.
 * @throws TaskDataError if one has none
 */
export function requireCriticalSlices(gate: GateRule, rows: SliceRows): void {
  const missing = criticalSlices(gate).find(({ name }) => !rows.has(name));
  if (!missing) return;
  const known = [...rows.keys()];
  const others = known.length > LISTED_NAMES ? `, and ${known.length - LISTED_NAMES} others` : '';
  const found = known.length === 0 ? 'they name none' : `they name ${known.slice(0, LISTED_NAMES).join(', ')}${others}`;
  throw new TaskDataError(`the gate names the slice ${missing.name}, which no gate row is in: ${found}`);
}

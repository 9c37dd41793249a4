import { summarizeMetric } from '../../data/evaluation/measure.ts';
import type { GateMeasurement } from '../../method/gate/readiness-gate.ts';
import type { MetricName } from '../../options/metrics.ts';

export interface LookInParts {
  readonly metric: MetricName;
  /** Number of completion tokens of each gate row. */
  readonly tokens: readonly number[];
  /**
   * Indices of the rows that are measured together, for each part of the look in order. Each row is in exactly one
   * part.
   */
  readonly parts: readonly (readonly number[])[];
  /** Measures the rows with the given indices, and returns their outcomes in the same order. */
  measure(rows: readonly number[]): Promise<ArrayLike<number>>;
  /**
   * Whether the look may end early. It gets the best case: a measurement in which all rows not measured yet have the
   * best possible outcome.
   */
  isOver(bestCase: GateMeasurement): boolean;
}

/**
 * Measures the rows part by part, and ends early if `isOver` returns true. The best case, in which all remaining rows
 * have the best outcome, is summed in the same order as a whole look. A floating-point sum in a fixed order does not
 * decrease if one of its numbers increases, so rounding cannot make the best case worse than the whole look: a
 * candidate that fails in its best case would fail in the whole look, too.
 */
export async function lookInParts({
  metric: name,
  tokens,
  parts,
  measure,
  isOver,
}: LookInParts): Promise<GateMeasurement> {
  const rows = tokens.length;
  const values = new Float64Array(rows).fill(name === 'loss' ? 0 : 1);
  let measured = 0;
  for (const part of parts) {
    const found = await measure(part);
    part.forEach((row, i) => (values[row] = found[i]!));
    measured += part.length;
    if (measured === rows) break;
    const { value } = summarizeMetric(name, values, tokens);
    const metric = { name, value, standardError: 0, rows, curtailed: { measured } };
    const bestCase = { metric, outcomes: { values, tokens } };
    if (isOver(bestCase)) return bestCase;
  }
  return { metric: { name, ...summarizeMetric(name, values, tokens), rows }, outcomes: { values, tokens } };
}

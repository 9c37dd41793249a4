import { summarizeMetric } from '../../data/evaluation/measure.ts';
import type { GateMeasurement } from '../../method/gate/readiness-gate.ts';
import type { MetricName } from '../../options/metrics.ts';

export interface LookInParts {
  readonly metric: MetricName;
  /** Completion tokens of each row. */
  readonly tokens: readonly number[];
  /** Indices of the rows that are measured together; every row is in one part. */
  readonly parts: readonly (readonly number[])[];
  /** Returns the outcomes of some rows, in their order. */
  measure(rows: readonly number[]): Promise<ArrayLike<number>>;
  /** Whether the look may end, given the best case: all unmeasured rows have the best outcome. */
  isOver(bestCase: GateMeasurement): boolean;
}

/**
 * Measures part after part, and ends early if `isOver` returns true. The best case is summed in the same order as the
 * whole look. A floating-point sum in a fixed order does not decrease if one of its numbers increases, so rounding
 * cannot make the best case worse than the whole look, and whatever refutes the best case refutes the candidate.
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

import type { MetricName } from '../../options/metrics.ts';
import type { GateMeasurement, RowOutcomes } from './gate-types.ts';

/** Restricts a measurement to the first `rows` rows of the look. */
export function firstRows(measured: GateMeasurement, rows: number): GateMeasurement {
  if (measured.metric.rows === rows) return measured;
  return onRows(
    measured,
    Array.from({ length: rows }, (_, row) => row),
  );
}

/**
 * Returns the reference's measurement for comparison with a look that ended early: with its outcomes on the first
 * `rows` rows, but its metric's value on all rows.
 */
export function besideFirstRows(reference: GateMeasurement, rows: number): GateMeasurement {
  const { metric, ...first } = firstRows(reference, rows);
  return { ...first, metric: { ...metric, value: reference.metric.value } };
}

/**
 * Estimates a candidate's metric on all rows from the rows that were measured: it adds the candidate's difference from
 * the reference on the measured rows to the reference's value on all rows (Cochran, Sampling Techniques, 1977, section
 * 7.2). Candidates whose looks ended after different numbers of rows can thus be compared with each other and with the
 * target. A measurement of all rows is returned unchanged.
 */
export function estimateOnAll(found: GateMeasurement, reference: GateMeasurement | null): GateMeasurement {
  const { metric } = found;
  if (metric.available === undefined || reference === null) return found;
  const value = reference.metric.value + metric.value - firstRows(reference, metric.rows).metric.value;
  return { ...found, metric: { ...metric, value: metric.name === 'loss' ? value : Math.min(1, Math.max(0, value)) } };
}

/** Restricts a measurement to the rows with the given indices. */
export function onRows({ metric, outcomes, ...measured }: GateMeasurement, rows: readonly number[]): GateMeasurement {
  const pick = (of: ArrayLike<number>): number[] => rows.map((row) => of[row]!);
  return {
    ...measured,
    // Paired comparisons compute the spread from the rows, so no standard error is needed here.
    metric: { ...metric, value: valueOn(metric.name, outcomes, rows), rows: rows.length, standardError: NaN },
    outcomes: { values: pick(outcomes.values), tokens: pick(outcomes.tokens) },
  };
}

/**
 * Returns the value of a metric on the rows with the given indices: the mean over the rows or, for the metric `loss`,
 * the mean over their completion tokens.
 */
export function valueOn(metric: MetricName, { values, tokens }: RowOutcomes, rows: readonly number[]): number {
  const total = (of: ArrayLike<number>): number => rows.reduce((sum, row) => sum + of[row]!, 0);
  return total(values) / (metric === 'loss' ? total(tokens) : rows.length);
}

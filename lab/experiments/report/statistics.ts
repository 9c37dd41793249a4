import { normalQuantile, studentQuantile } from '../../../core/statistics/distributions.ts';
import { countFlips } from '../../../core/statistics/paired-statistics.ts';

/** Mean and standard deviation of one value over several jobs. */
export interface Spread {
  readonly mean: number;
  /** Sample standard deviation (n − 1), or null for a single value. */
  readonly deviation: number | null;
  readonly count: number;
}

/** @returns null if there are no values */
export function spread(values: readonly number[]): Spread | null {
  const count = values.length;
  if (count === 0) return null;
  const center = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - center) ** 2, 0);
  return { mean: center, deviation: count > 1 ? Math.sqrt(squares / (count - 1)) : null, count };
}

/**
 * Computes the mean of independent values and its 95 % interval by Student's t. A single value has infinite ends.
 * @param values at least one
 */
export function meanInterval(values: readonly number[]): { mean: number; low: number; high: number } {
  const { mean: center, deviation, count } = spread(values)!;
  const half =
    deviation === null ? Infinity : (studentQuantile(normalQuantile(0.975), count - 1) * deviation) / Math.sqrt(count);
  return { mean: center, low: center - half, high: center + half };
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * Share of the rows that `old` has right and `now` has wrong, both with one character for each row as in a `TestScore`.
 * @returns null if either is null, that is, if the metric does not judge single rows
 * @throws RangeError if the two have different numbers of rows
 */
export function negativeFlips(old: string | null, now: string | null): number | null {
  if (old === null || now === null) return null;
  const { losses, rows } = countFlips([...old].map(Number), [...now].map(Number));
  return losses / rows;
}

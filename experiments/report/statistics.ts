import { countFlips } from '../../core/statistics/paired-statistics.ts';

/** Mean and standard deviation of one value over several jobs. */
export interface Spread {
  readonly mean: number;
  /** Sample standard deviation (n − 1); null for a single value. */
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

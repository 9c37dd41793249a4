import { expectedImprovement } from './bayesian-optimisation/expected-improvement.ts';
import { lossDifference } from './paired-statistics.ts';

/** Summed losses of the search's rows under one point: as many of them, from the first, as were measured. */
export interface MeasuredRows {
  readonly rows: number;
  /** Nats, by row in the search's order. */
  readonly losses: Float64Array;
}

export type Verdict = 'better' | 'worse' | 'open';

export interface Comparison {
  /** Of the challenger against the incumbent, beyond doubt; else open. */
  readonly verdict: Verdict;
  /** Of taking the challenger where all rows show it to be better beyond doubt, as a share of the incumbent's loss. */
  readonly expectedGain: number;
}

/** Rows of the first look; each further one has twice as many. */
export const FIRST_ROWS = 16;

/** Standard errors that count as beyond doubt: 0.6 % in error, for one look of three at one point of a dozen. */
const CERTAIN = 2.5;

/** Numbers of rows at which points are compared: 16, 32, … and all of them. */
export function looks(rows: number, firstRows = FIRST_ROWS): number[] {
  const counts: number[] = [];
  for (let count = firstRows; count < rows; count *= 2) counts.push(count);
  return [...counts, rows];
}

/**
 * Compares a challenger with the incumbent on the rows that both have, by paired differences: rows are easy or hard for
 * both alike, so that the difference is known much better than either loss. The race stops what is surely worse (Maron
 * and Moore, Hoeffding races, NeurIPS 1993; by paired tests: Birattari et al., GECCO 2002).
 * @param tokens completion tokens of each row
 */
export function compare(challenger: MeasuredRows, incumbent: MeasuredRows, tokens: readonly number[]): Comparison {
  const rows = Math.min(challenger.rows, incumbent.rows);
  const before = incumbent.losses.subarray(0, rows);
  const pair = { before, after: challenger.losses.subarray(0, rows), tokens: tokens.slice(0, rows) };
  const { value, standardError } = lossDifference(pair);
  const doubt = rows > 1 ? standardError * studentQuantile(CERTAIN, rows - 1) : Infinity;
  const mean = before.reduce((sum, loss) => sum + loss, 0) / pair.tokens.reduce((sum, count) => sum + count, 0);
  const verdict = value - doubt > 0 ? 'worse' : value + doubt < 0 ? 'better' : 'open';
  if (rows <= 1) return { verdict, expectedGain: Infinity };
  // The smallest difference that all rows can show.
  const least = CERTAIN * standardError * Math.sqrt(rows / tokens.length);
  return { verdict, expectedGain: expectedImprovement(value, standardError, 0, least) / mean };
}

/**
 * The quantile of Student's t distribution that the normal quantile z becomes with so many degrees of freedom
 * (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5, its first three terms).
 */
export function studentQuantile(z: number, degrees: number): number {
  const first = (z ** 3 + z) / 4;
  const second = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96;
  const third = (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384;
  return z + first / degrees + second / degrees ** 2 + third / degrees ** 3;
}

import { expectedImprovement } from './bayesian-optimization/expected-improvement.ts';
import { studentQuantile } from '../../statistics/distributions.ts';
import { lossDifference, type PairedLosses } from '../../statistics/paired-statistics.ts';

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
  const pair = commonRows(incumbent, challenger, tokens);
  const rows = pair.before.length;
  const { value, standardError } = lossDifference(pair);
  const doubt = rows > 1 ? standardError * studentQuantile(CERTAIN, rows - 1) : Infinity;
  const mean = sum(pair.before) / sum(pair.tokens);
  const verdict = value - doubt > 0 ? 'worse' : value + doubt < 0 ? 'better' : 'open';
  if (rows <= 1) return { verdict, expectedGain: Infinity };
  // The smallest difference that all rows can show.
  const least = CERTAIN * standardError * Math.sqrt(rows / tokens.length);
  return { verdict, expectedGain: expectedImprovement(value, standardError, 0, least) / mean };
}

/**
 * Whether a point's loss is at most one standard error of the difference above another's, on the rows that both have. Of
 * one row no such error is known: everything is within it.
 */
export function isWithinNoise(point: MeasuredRows, other: MeasuredRows, tokens: readonly number[]): boolean {
  const pair = commonRows(other, point, tokens);
  const { value, standardError } = lossDifference(pair);
  return pair.before.length <= 1 || value <= standardError;
}

function commonRows(before: MeasuredRows, after: MeasuredRows, tokens: readonly number[]): PairedLosses {
  const rows = Math.min(before.rows, after.rows);
  return {
    before: before.losses.subarray(0, rows),
    after: after.losses.subarray(0, rows),
    tokens: tokens.slice(0, rows),
  };
}

function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i]!;
  return total;
}

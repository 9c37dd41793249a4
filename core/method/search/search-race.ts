import { studentQuantile } from '../../statistics/distributions.ts';
import { lossDifference, type PairedLosses } from '../../statistics/paired-statistics.ts';
import { expectedImprovement } from './bayesian-optimization/expected-improvement.ts';

/** Losses of one point on the first rows of the search. */
export interface MeasuredRows {
  /** Number of rows measured. */
  readonly rows: number;
  /** Summed completion loss of each row in the search's order, in nats; entries from `rows` on are unused. */
  readonly losses: Float64Array;
}

interface Comparison {
  /** Whether the challenger is confidently better or worse than the incumbent; otherwise undecided. */
  readonly outcome: 'better' | 'worse' | 'undecided';
  /**
   * Expected gain of switching to the challenger if all rows show it to be confidently better, as a share of the
   * incumbent's loss.
   */
  readonly expectedGain: number;
}

/** Number of rows in the first stage of a race. Each further stage has twice as many. */
const FIRST_ROWS = 16;

/**
 * Number of standard errors from which on a difference counts as confident: a one-sided error of 0.6 %, in each of about
 * three stages for each of about a dozen points.
 */
const CONFIDENT_ERRORS = 2.5;

/** The stages of a race, as numbers of rows at which points are compared: 16, 32, … and all rows. */
export function raceStages(rows: number, firstRows = FIRST_ROWS): number[] {
  const counts: number[] = [];
  for (let count = firstRows; count < rows; count *= 2) counts.push(count);
  return [...counts, rows];
}

/**
 * Compares a challenger with the incumbent on the rows that both have. Differences are paired: rows are easy or hard for
 * both alike, so that the difference is known much more precisely than either loss. Racing drops what is confidently worse
 * (Maron and Moore, Hoeffding races, NeurIPS 1993; with paired tests: Birattari et al., GECCO 2002). The difference is
 * confident if it exceeds {@link CONFIDENT_ERRORS} standard errors, widened to Student's t for few rows.
 * @param tokens completion tokens of each search row, in the search's order
 */
export function compare(challenger: MeasuredRows, incumbent: MeasuredRows, tokens: readonly number[]): Comparison {
  const pair = commonRows(incumbent, challenger, tokens);
  const rows = pair.before.length;
  if (rows <= 1) return { outcome: 'undecided', expectedGain: Infinity };
  const { value, standardError } = lossDifference(pair);
  const tolerance = standardError * studentQuantile(CONFIDENT_ERRORS, rows - 1);
  const outcome = value - tolerance > 0 ? 'worse' : value + tolerance < 0 ? 'better' : 'undecided';
  const mean = sum(pair.before) / sum(pair.tokens);
  // The smallest difference that could be confident on all rows.
  const least = CONFIDENT_ERRORS * standardError * Math.sqrt(rows / tokens.length);
  return { outcome, expectedGain: expectedImprovement(value, standardError, 0, least) / mean };
}

/**
 * Whether a point's loss is at most one standard error of the difference above another point's, on the rows that both have.
 * With a single row there is no standard error, and every point is within noise.
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

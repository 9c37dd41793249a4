import { Random } from './random.ts';
import { normalQuantile } from './distributions.ts';

/** Numbers of rows that are right under one of two versions and wrong under the other, and the number of all rows. */
export interface Flips {
  /** Number of rows that are wrong under the first version and right under the second. */
  readonly gains: number;
  /** Number of rows that are right under the first version and wrong under the second: negative flips. */
  readonly losses: number;
  readonly rows: number;
}

/**
 * Counts the rows that two versions answer differently.
 * @param before 1 for each row that is right under the first version, and 0 for each that is wrong
 * @param after the same for the second version
 * @throws RangeError if the versions do not have the same number of rows, at least one
 */
export function countFlips(before: ArrayLike<number>, after: ArrayLike<number>): Flips {
  requireSameRows(before, after);
  let gains = 0;
  let losses = 0;
  for (let i = 0; i < before.length; i++) {
    if (after[i]! > before[i]!) gains++;
    else if (after[i]! < before[i]!) losses++;
  }
  return { gains, losses, rows: before.length };
}

/**
 * Returns a one-sided lower confidence bound of the difference of two paired proportions (after − before), by Tango's
 * score interval (Statistics in Medicine 17, 1998, 891–908), which inverts his score test of non-inferiority. Let d be
 * the difference, z the normal quantile of the confidence, n the number of rows, and q the maximum likelihood estimate
 * of the share of losses at the difference d, which is the larger root of
 *
 *     2n q² + ((2n − gains + losses) d − gains − losses) q − losses · d (1 − d) = 0.
 *
 * The bound is the d at which (gains − losses − n d) / √(n (2q + d (1 − d))) = z. At d = 0 the left side is McNemar's
 * statistic.
 * @param confidence confidence of the bound, in (0.5, 1)
 * @returns a difference in [−1, 1]
 */
export function lowerBoundOfDifference({ gains, losses, rows }: Flips, confidence: number): number {
  const z = normalQuantile(confidence);
  let low = -1;
  let high = (gains - losses) / rows;
  // The statistic falls from +∞ to 0 between the two.
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (tangoStatistic({ gains, losses, rows }, middle) > z) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/**
 * Returns Tango's statistic for a hypothetical difference (after − before) of two paired proportions, in [−1, 1]. It is
 * positive if the rows show a larger difference than this.
 */
export function tangoStatistic({ gains, losses, rows }: Flips, difference: number): number {
  const b = (2 * rows - gains + losses) * difference - gains - losses;
  const c = -losses * difference * (1 - difference);
  const share = (Math.sqrt(Math.max(0, b * b - 8 * rows * c)) - b) / (4 * rows);
  const variance = rows * (2 * share + difference * (1 - difference));
  const excess = gains - losses - rows * difference;
  return variance > 0 || excess === 0 ? excess / Math.sqrt(Math.max(variance, Number.MIN_VALUE)) : excess * Infinity;
}

/** Loss of each row under two versions, in nats, as the sum over the row's completion tokens. */
export interface PairedLosses {
  readonly before: ArrayLike<number>;
  readonly after: ArrayLike<number>;
  /** Number of completion tokens of each row, which is its weight in the mean loss per token. */
  readonly tokens: ArrayLike<number>;
}

/**
 * Mean difference between two versions (after − before): of the loss, in nats a token, or of the score. Its standard
 * error over rows is computed as for a ratio (Cochran, Sampling Techniques, 6.4).
 */
export interface MeanDifference {
  readonly value: number;
  readonly standardError: number;
}

/**
 * Returns the mean difference of the loss (after − before), in nats a completion token, with its standard error.
 * @throws RangeError if the versions do not have the same number of rows, at least one
 */
export function lossDifference(losses: PairedLosses): MeanDifference {
  return meanDifference(differencesOf(losses), losses.tokens);
}

/** Score of each row under two versions. */
export type PairedScores = Omit<PairedLosses, 'tokens'>;

/** Returns the mean over rows of the difference of their scores (after − before), with its standard error. */
export function scoreDifference(scores: PairedScores): MeanDifference {
  return lossDifference(rowsAsTokens(scores));
}

/**
 * Returns a one-sided lower confidence bound of the mean over rows of the difference of their scores (after − before),
 * by the method of {@link upperBoundOfLossDifference}.
 */
export function lowerBoundOfScoreDifference({ before, after }: PairedScores, options: BootstrapOptions): number {
  return -upperBoundOfLossDifference(rowsAsTokens({ before: after, after: before }), options);
}

/** Converts scores to losses of rows with one token each, so that every row has the same weight. */
function rowsAsTokens({ before, after }: PairedScores): PairedLosses {
  return { before, after, tokens: new Uint8Array(before.length).fill(1) };
}

interface BootstrapOptions {
  /** Confidence of the bound, in (0.5, 1). */
  readonly confidence: number;
  /** Seed of the random resamples of the bootstrap. Default 0. */
  readonly seed?: number;
}

/**
 * Limits on the number of bootstrap resamples: at least `least` and at most `most`. Within these limits, the number is
 * chosen so that about `beyond` resamples lie beyond the bound.
 */
const RESAMPLES = { least: 2000, most: 20_000, beyond: 40 };

/**
 * Returns a one-sided upper confidence bound of the mean difference of the loss (after − before), in nats a token, by
 * the bootstrap-t over rows (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 12.5). The standard
 * error is multiplied by a quantile of the studentized resamples rather than of the normal distribution, since a few
 * rows often carry most of a loss.
 */
export function upperBoundOfLossDifference(losses: PairedLosses, { confidence, seed = 0 }: BootstrapOptions): number {
  const { value, standardError } = lossDifference(losses);
  if (!Number.isFinite(value) || standardError === 0) return value;
  if (standardError === Infinity) return Infinity;
  const { tokens } = losses;
  const differences = differencesOf(losses);
  const random = Random.fromSeed(seed);
  const rows = differences.length;
  const picked = { differences: new Float64Array(rows), tokens: new Float64Array(rows) };
  const beyond = Math.ceil(RESAMPLES.beyond / (1 - confidence));
  const resamples = Math.min(RESAMPLES.most, Math.max(RESAMPLES.least, beyond));
  const studentized = Float64Array.from({ length: resamples }, () => {
    for (let i = 0; i < rows; i++) {
      const row = random.integer(rows);
      picked.differences[i] = differences[row]!;
      picked.tokens[i] = tokens[row]!;
    }
    const resampled = meanDifference(picked.differences, picked.tokens);
    if (resampled.standardError > 0) return (resampled.value - value) / resampled.standardError;
    return resampled.value === value ? 0 : Math.sign(resampled.value - value) * Infinity;
  }).sort();
  return value - standardError * studentized[Math.floor((1 - confidence) * resamples)]!;
}

function differencesOf({ before, after }: PairedLosses): Float64Array {
  requireSameRows(before, after);
  return Float64Array.from(before, (loss, i) => after[i]! - loss);
}

/**
 * Returns the mean difference per token of the rows in a sample, with its standard error.
 * @param differences difference of the loss of each row
 */
function meanDifference(differences: Float64Array, tokens: ArrayLike<number>): MeanDifference {
  const rows = differences.length;
  let sum = 0;
  let count = 0;
  for (let i = 0; i < rows; i++) {
    sum += differences[i]!;
    count += tokens[i]!;
  }
  const value = sum / count;
  let squares = 0;
  for (let i = 0; i < rows; i++) squares += (differences[i]! - value * tokens[i]!) ** 2;
  return { value, standardError: rows > 1 ? Math.sqrt((squares * rows) / (rows - 1)) / count : Infinity };
}

function requireSameRows(before: ArrayLike<number>, after: ArrayLike<number>): void {
  if (before.length === after.length && before.length > 0) return;
  throw new RangeError(`${after.length} rows are paired with ${before.length}, expected as many, at least one`);
}

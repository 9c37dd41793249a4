import { normalQuantile } from './distributions.ts';
import { tangoStatistic, type Flips } from './paired-statistics.ts';

/**
 * Arguments of {@link inferiorityPValue}: the numbers of rows on which two versions differ, and the margin. The null
 * hypothesis is that the second version's share of right rows is smaller than the first one's by at least the margin.
 */
export interface InferiorityTest extends Flips {
  /**
   * Smallest deficit in the share of right rows, in (−1, 1), at which the second version counts as worse. With a
   * negative margin, the second version has to be better by that much.
   */
  readonly margin: number;
}

/**
 * Returns the p-value of an unconditional exact test for rows that are right or wrong under either version (Hsueh, Liu
 * and Chen, Biometrics 57, 2001, 478–483). The null hypothesis is that the second version is worse by at least the
 * margin. The p-value is the probability, under this hypothesis, of an outcome that speaks against it at least as
 * clearly as the observed one, judged by Tango's statistic. The probability depends on the unknown share of losses, so
 * the largest one over all shares that the hypothesis allows is returned. Because the statistic grows with the gains
 * and falls with the losses, the largest one is found on the edge of the hypothesis, where the second version is worse
 * by exactly the margin. If no row differs, the p-value is at least (1 − margin)ⁿ for n rows.
 * @throws RangeError for a margin outside (−1, 1)
 */
export function inferiorityPValue({ margin, ...flips }: InferiorityTest): number {
  if (!(margin > -1 && margin < 1)) throw new RangeError(`margin is ${margin}, expected a number between -1 and 1`);
  const region = new Region(flips, margin);
  const probabilityAt = (angle: number) => region.probability(Math.sin(angle) ** 2);
  const angles = nuisanceAngles(margin, flips.rows);
  const probabilities = angles.map(probabilityAt);
  const top = probabilities.indexOf(Math.max(...probabilities));
  const around = { low: angles[Math.max(0, top - 1)]!, high: angles[Math.min(angles.length - 1, top + 1)]! };
  return Math.min(1, Math.max(probabilities[top]!, largestWithin(around, probabilityAt)));
}

/**
 * Returns a one-sided lower confidence bound of the difference of two paired proportions (after − before): the smallest
 * difference that {@link inferiorityPValue} does not reject at the level.
 * @param level error probability, in (0, 0.5)
 */
export function exactLowerBound(flips: Flips, level: number): number {
  const { gains, losses, rows } = flips;
  const wanted = normalQuantile(1 - level);
  // The excess is nearly linear in the margin, and above 0 if the margin is rejected.
  const excessAt = (margin: number) =>
    normalQuantile(1 - Math.min(1 - 1e-12, Math.max(1e-12, inferiorityPValue({ ...flips, margin })))) - wanted;
  let kept = { margin: (losses - gains) / rows, excess: -wanted };
  let step = ((wanted + 1) * Math.sqrt(gains + losses + wanted ** 2)) / rows;
  let rejected = kept;
  while (rejected.excess < 0 && rejected.margin < LARGEST_MARGIN) {
    kept = rejected;
    const margin = Math.min(LARGEST_MARGIN, kept.margin + step);
    rejected = { margin, excess: excessAt(margin) };
    step *= 2;
  }
  if (rejected.excess < 0) return -1;
  // The secant method with the Illinois rule: the excess of an end that does not move is halved.
  for (let i = 0; i < 40 && rejected.margin - kept.margin > 1e-6; i++) {
    const share = kept.excess / (kept.excess - rejected.excess);
    const margin = kept.margin + Math.min(0.99, Math.max(0.01, share)) * (rejected.margin - kept.margin);
    const excess = excessAt(margin);
    if (excess >= 0) {
      rejected = { margin, excess };
      kept = { ...kept, excess: kept.excess / 2 };
    } else {
      kept = { margin, excess };
      rejected = { ...rejected, excess: rejected.excess / 2 };
    }
    if (Math.abs(excess) < 1e-7) break;
  }
  return -rejected.margin;
}

const LARGEST_MARGIN = 1 - 1e-9;

/**
 * Returns the shares of losses at which the p-value is computed, in ascending order: a grid over all shares that are
 * possible if the second version is worse by exactly the margin. Each share is given as the angle whose squared sine it
 * is, because an estimate of this angle has the same variance for every share.
 */
function nuisanceAngles(margin: number, rows: number): number[] {
  const first = Math.asin(Math.sqrt(Math.max(0, margin)));
  const last = Math.asin(Math.sqrt((1 + margin) / 2));
  // Standard deviations are 1 / (2 √rows) in these angles, so steps are at most half of one.
  const steps = Math.min(200, Math.max(40, Math.ceil((last - first) * 4 * Math.sqrt(rows))));
  return Array.from({ length: steps + 1 }, (_, i) => first + ((last - first) * i) / steps);
}

const GOLDEN = (Math.sqrt(5) - 1) / 2;

/** Returns the maximum of a function with a single peak between two points, by golden-section search. */
function largestWithin({ low, high }: { low: number; high: number }, valueAt: (x: number) => number): number {
  let [left, right] = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)];
  let [atLeft, atRight] = [valueAt(left), valueAt(right)];
  for (let i = 0; i < 12; i++) {
    if (atLeft > atRight) {
      [high, right, atRight] = [right, left, atLeft];
      left = high - GOLDEN * (high - low);
      atLeft = valueAt(left);
    } else {
      [low, left, atLeft] = [left, right, atRight];
      right = low + GOLDEN * (high - low);
      atRight = valueAt(right);
    }
  }
  return Math.max(atLeft, atRight);
}

/**
 * Largest distance from the expected number of losses, in standard deviations, at which numbers of losses are counted.
 * Numbers farther away are too improbable to matter (about 1e-15).
 */
const REACH = 8;

/**
 * Set of all outcomes, as numbers of gains and losses, that speak against the hypothesis of inferiority at least as
 * clearly as the observed outcome.
 */
class Region {
  readonly #rows: number;
  readonly #margin: number;
  /**
   * Smallest number of gains with which an outcome belongs to this set, indexed by the number of losses. If no outcome
   * with that number of losses belongs to the set, the entry is larger than the number of all other rows.
   */
  readonly #gains: Int32Array;
  readonly #logFactorials: Float64Array;

  constructor(observed: Flips, margin: number) {
    const { rows } = observed;
    this.#rows = rows;
    this.#margin = margin;
    this.#logFactorials = logFactorials(rows);
    // A tie belongs to the region; rounding must not exclude it.
    const least = tangoStatistic(observed, -margin) - 1e-9;
    this.#gains = new Int32Array(rows + 1);
    let gains = 0;
    for (let losses = 0; losses <= rows; losses++) {
      while (gains <= rows - losses && tangoStatistic({ gains, losses, rows }, -margin) < least) gains++;
      this.#gains[losses] = gains;
    }
  }

  /**
   * Returns the probability of all outcomes that speak against the hypothesis at least as clearly as the observed one,
   * if each row is a loss with probability `loss`, and a gain with that probability less the margin.
   */
  probability(loss: number): number {
    const rows = this.#rows;
    const spread = REACH * Math.sqrt(rows * loss * (1 - loss)) + REACH;
    const from = Math.max(0, Math.floor(rows * loss - spread));
    const to = Math.min(rows, Math.ceil(rows * loss + spread));
    const lost = shareOf(loss);
    // Conditional probability that a row is a gain, given that it is no loss.
    const gained = shareOf(Math.min(1, Math.max(0, (loss - this.#margin) / (1 - loss))));
    let gains = this.#gains[from]!;
    let tail = this.#tail(rows - from, gains, gained);
    let sum = 0;
    for (let losses = from; losses <= to; losses++) {
      const left = rows - losses;
      for (; gains < this.#gains[losses]!; gains++) tail -= this.#mass(left, gains, gained);
      if (gains > left) break;
      sum += this.#mass(rows, losses, lost) * Math.max(0, tail);
      // One row fewer: P(X' ≥ g) = P(X ≥ g) − p P(X' = g − 1).
      if (gains > 0) tail -= gained.value * this.#mass(left - 1, gains - 1, gained);
    }
    return sum;
  }

  /** Returns the probability of at least `least` successes in `rows` independent trials. */
  #tail(rows: number, least: number, share: BinomialShare): number {
    if (least <= 0) return 1;
    const { value } = share;
    const top = Math.min(rows, Math.ceil(rows * value + REACH * Math.sqrt(rows * value * (1 - value)) + REACH));
    let sum = 0;
    for (let count = least; count <= Math.max(top, Math.min(rows, least + REACH)); count++) {
      sum += this.#mass(rows, count, share);
    }
    return sum;
  }

  /** Returns the probability of exactly `count` successes in `rows` independent trials. */
  #mass(rows: number, count: number, { value, log, logRest }: BinomialShare): number {
    if (count < 0 || count > rows) return 0;
    if (value === 0) return count === 0 ? 1 : 0;
    if (value === 1) return count === rows ? 1 : 0;
    const table = this.#logFactorials;
    const ways = table[rows]! - table[count]! - table[rows - count]!;
    return Math.exp(ways + count * log + (rows - count) * logRest);
  }
}

/**
 * Success probability of a single trial, with its logarithm and, as `logRest`, the logarithm of the failure
 * probability.
 */
interface BinomialShare {
  readonly value: number;
  readonly log: number;
  readonly logRest: number;
}

function shareOf(value: number): BinomialShare {
  return { value, log: Math.log(value), logRest: Math.log1p(-value) };
}

function logFactorials(most: number): Float64Array {
  const table = new Float64Array(most + 1);
  for (let n = 2; n <= most; n++) table[n] = table[n - 1]! + Math.log(n);
  return table;
}

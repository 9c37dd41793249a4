import { normalQuantile } from './distributions.ts';
import { tangoStatistic, type Flips } from './paired-statistics.ts';

/**
 * Input of {@link inferiorityPValue}, which tests the hypothesis that the second version's share of right rows is
 * smaller by at least the margin.
 */
export interface InferiorityTest extends Flips {
  /** Margin in (−1, 1). A negative margin demands a second version that is better. */
  readonly margin: number;
}

/**
 * Returns the p-value of the unconditional exact test that a version is worse by at least the margin, where each row is
 * right or wrong under either version (Hsueh, Liu and Chen, Biometrics 57, 2001, 478–483). It is the largest
 * probability, over every share of losses that the hypothesis allows, of outcomes that speak against the hypothesis at
 * least as clearly by Tango's statistic as the observed one. The statistic grows with the gains and falls with the
 * losses, so the probability is largest on the edge of the hypothesis, a difference of exactly the margin. Without a
 * single flip it is at least (1 − margin)ⁿ.
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
 * One-sided lower bound of the difference of two paired proportions (after − before): the lower end of the differences
 * that {@link inferiorityPValue} does not reject at the level.
 * @param level probability of an error, in (0, 0.5)
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
 * Shares of losses on the edge of the hypothesis, as angles. The arcsine of the root of a binomial share has the same
 * variance everywhere.
 */
function nuisanceAngles(margin: number, rows: number): number[] {
  const first = Math.asin(Math.sqrt(Math.max(0, margin)));
  const last = Math.asin(Math.sqrt((1 + margin) / 2));
  // Standard deviations are 1 / (2 √rows) in these angles, so steps are at most half of one.
  const steps = Math.min(200, Math.max(40, Math.ceil((last - first) * 4 * Math.sqrt(rows))));
  return Array.from({ length: steps + 1 }, (_, i) => first + ((last - first) * i) / steps);
}

const GOLDEN = (Math.sqrt(5) - 1) / 2;

/** Maximum of a unimodal function between two points, by golden-section search. */
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

/** Standard deviations beyond which a number of losses is too improbable to matter (about 1e-15). */
const REACH = 8;

/** Set of outcomes that speak against the hypothesis at least as clearly as the observed one. */
class Region {
  readonly #rows: number;
  readonly #margin: number;
  /**
   * Smallest number of gains in the region for each number of losses. It exceeds the number of remaining rows if there
   * is none.
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
   * Probability of the region, given the probability that a row is a loss. A row is a gain with that probability less
   * the margin.
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

  /** Probability of at least `least` successes. */
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

  /** Probability of exactly `count` successes. */
  #mass(rows: number, count: number, { value, log, logRest }: BinomialShare): number {
    if (count < 0 || count > rows) return 0;
    if (value === 0) return count === 0 ? 1 : 0;
    if (value === 1) return count === rows ? 1 : 0;
    const table = this.#logFactorials;
    const ways = table[rows]! - table[count]! - table[rows - count]!;
    return Math.exp(ways + count * log + (rows - count) * logRest);
  }
}

/** Probability of one success, with the logarithms of itself and of its complement. */
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

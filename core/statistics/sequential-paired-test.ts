import { tangoStatistic, type Flips } from './paired-statistics.ts';

/**
 * Design of a group-sequential test of two versions whose rows are right or wrong: the test is made several times
 * while rows come in, and ends at the first time that it shows the second version not to be worse by the margin.
 */
export interface SequentialDesign {
  /** Numbers of rows after which the test is made, in ascending order. The last one is the number of all rows. */
  readonly analyses: readonly number[];
  /** Difference of the shares of right rows, in (0, 1), from which the second version counts as worse. */
  readonly margin: number;
  /** Largest probability with which a version that is worse by the margin may pass at any of the analyses. */
  readonly level: number;
}

/**
 * Share of the level that the critical values may use up. The rest allows for the shares of losses that lie between
 * those for which probabilities are computed.
 */
const USED = 0.98;

/**
 * Returns the critical value of Tango's statistic for each analysis of a design: the second version passes at the first
 * analysis whose statistic reaches it. The level is spent in proportion to the rows (Lan and DeMets, Biometrika 70,
 * 1983, 659–663). The probabilities are exact: they are sums over the joint outcomes of all analyses, and the critical
 * values hold for the share of losses that is worst. A version that is worse by more than the margin passes less often,
 * because the statistic falls with every loss and grows with every gain. An infinite value stands for an analysis at
 * which no outcome can pass.
 * @throws RangeError for a margin outside (0, 1)
 */
export function criticalValues(design: SequentialDesign): readonly number[] {
  const { analyses, margin, level } = design;
  if (!(margin > 0 && margin < 1)) throw new RangeError(`margin is ${margin}, expected a number between 0 and 1`);
  const all = analyses.at(-1)!;
  const walks = triedShares(margin).map((loss) => new Walk({ loss, gain: Math.max(0, loss - margin) }, all));
  return analyses.map((rows) => {
    const spent = (level * USED * rows) / all;
    for (const walk of walks) walk.moveTo(rows);
    const value = smallestValue(rows, margin, (boundary) =>
      walks.every((walk) => walk.stopped + walk.beyond(boundary) <= spent),
    );
    const boundary = boundaryOf(rows, margin, value);
    for (const walk of walks) walk.stopBeyond(boundary);
    return value;
  });
}

/** Probabilities that a single row is a gain and that it is a loss. */
export interface FlipShares {
  readonly gain: number;
  readonly loss: number;
}

/**
 * Returns, for each analysis of a design, the probability that a version passes there and at no earlier analysis, if
 * its rows flip with the given probabilities.
 */
export function passingProbabilities(
  { analyses, margin }: SequentialDesign,
  values: readonly number[],
  shares: FlipShares,
): readonly number[] {
  const walk = new Walk(shares, analyses.at(-1)!);
  return analyses.map((rows, i) => {
    walk.moveTo(rows);
    return walk.stopBeyond(boundaryOf(rows, margin, values[i]!));
  });
}

/** Largest ratio between neighboring shares of losses in the grid of {@link triedShares}. */
const RATIO = 1.2;

/**
 * Returns the shares of losses for which the critical values of a design have to hold, in ascending order: a grid over
 * all shares that are possible if the second version is worse by exactly the margin.
 */
function triedShares(margin: number): number[] {
  const most = (1 + margin) / 2;
  const steps = Math.ceil(Math.log(most / margin) / Math.log(RATIO));
  return Array.from({ length: steps + 1 }, (_, i) => margin * (most / margin) ** (i / steps));
}

/** Smallest number of gains with which an outcome passes, indexed by the number of losses. */
type Boundary = Int32Array;

function boundaryOf(rows: number, margin: number, value: number): Boundary {
  const boundary = new Int32Array(rows + 1);
  let gains = 0;
  for (let losses = 0; losses <= rows; losses++) {
    while (gains <= rows - losses && !passes({ gains, losses, rows }, margin, value)) gains++;
    boundary[losses] = gains;
  }
  return boundary;
}

/**
 * Whether an outcome's Tango statistic reaches a critical value. A tie passes even if rounding makes the statistic
 * smaller.
 */
export function passes(flips: Flips, margin: number, value: number): boolean {
  return tangoStatistic(flips, -margin) >= value - 1e-9;
}

/** Largest critical value of Tango's statistic that is tried. If even this value is too small, no outcome passes. */
const LARGEST_VALUE = 8;

/**
 * Returns the smallest critical value with a boundary that `isAllowed` accepts, to within 0.001; Infinity if it accepts
 * none up to a value of 8.
 */
function smallestValue(rows: number, margin: number, isAllowed: (boundary: Boundary) => boolean): number {
  let [refused, allowed] = [0, LARGEST_VALUE];
  if (!isAllowed(boundaryOf(rows, margin, allowed))) return Infinity;
  while (allowed - refused > 1e-3) {
    const middle = (refused + allowed) / 2;
    if (isAllowed(boundaryOf(rows, margin, middle))) allowed = middle;
    else refused = middle;
  }
  return allowed;
}

/**
 * Largest distance from the expected number of losses or gains, in standard deviations, at which probabilities are
 * computed. Outcomes farther away count as if they passed, so that the error probability stays within the level.
 */
const REACH = 5;

/**
 * Joint distribution of the numbers of losses and gains among the rows so far, as rows are added one by one. Outcomes
 * that have already passed are left out.
 */
class Walk {
  /**
   * Probability that the second version has passed at an earlier analysis, or that its numbers of losses and gains are
   * outside the range for which probabilities are computed.
   */
  stopped = 0;
  readonly #shares: FlipShares;
  readonly #losses: Axis;
  readonly #gains: Axis;
  /**
   * Probability of each pair of a number of losses and a number of gains. Pairs with the same number of losses lie
   * together, in the order of their gains.
   */
  readonly #probabilities: Float64Array;
  /** Number of elements of `#probabilities` for each number of losses. */
  readonly #stride: number;
  #rows = 0;

  constructor(shares: FlipShares, rows: number) {
    this.#shares = shares;
    this.#losses = new Axis(shares.loss, rows);
    this.#gains = new Axis(shares.gain, rows);
    // A border on each side keeps places without neighbors from being special.
    this.#stride = this.#gains.most + 3;
    this.#probabilities = new Float64Array((this.#losses.most + 3) * this.#stride);
    this.#probabilities[this.#place(0, 0)] = 1;
  }

  #place(losses: number, gains: number): number {
    return (losses + 1) * this.#stride + gains + 1;
  }

  /** Adds rows one by one until there are `rows` of them. */
  moveTo(rows: number): void {
    while (this.#rows < rows) this.#addRow();
  }

  #addRow(): void {
    const { loss, gain } = this.#shares;
    const same = 1 - loss - gain;
    const [of, stride] = [this.#probabilities, this.#stride];
    const before = this.#window();
    // Each place takes from smaller ones alone, so that the largest come first.
    for (let losses = before.to + 1; losses >= before.from; losses--) {
      const first = this.#place(losses, before.fromGains);
      for (let i = this.#place(losses, before.toGains + 1); i >= first; i--)
        of[i] = same * of[i]! + gain * of[i - 1]! + loss * of[i - stride]!;
    }
    this.#rows++;
    this.#leave(before, this.#window());
  }

  /**
   * Drops the pairs of losses and gains that are within the range `before` but outside the range `after`, and adds
   * their probability to `stopped`.
   */
  #leave(before: Window, after: Window): void {
    for (let losses = before.from; losses <= before.to + 1; losses++) {
      const isFollowed = losses >= after.from && losses <= after.to;
      for (let gains = before.fromGains; gains <= before.toGains + 1; gains++) {
        if (isFollowed && gains >= after.fromGains && gains <= after.toGains) gains = after.toGains;
        else this.#stop(this.#place(losses, gains));
      }
    }
  }

  #stop(place: number): void {
    this.stopped += this.#probabilities[place]!;
    this.#probabilities[place] = 0;
  }

  #window(): Window {
    const [losses, gains] = [this.#losses.at(this.#rows), this.#gains.at(this.#rows)];
    return { from: losses.from, to: losses.to, fromGains: gains.from, toGains: gains.to };
  }

  /** Returns the probability of all outcomes that pass a boundary at the current number of rows. */
  beyond(boundary: Boundary): number {
    let sum = 0;
    this.#each(boundary, (place) => {
      sum += this.#probabilities[place]!;
    });
    return sum;
  }

  /** Removes all outcomes that pass a boundary, and returns their probability. */
  stopBeyond(boundary: Boundary): number {
    const before = this.stopped;
    this.#each(boundary, (place) => this.#stop(place));
    return this.stopped - before;
  }

  #each(boundary: Boundary, visit: (place: number) => void): void {
    const { from, to, fromGains, toGains } = this.#window();
    for (let losses = from; losses <= to; losses++) {
      for (let gains = Math.max(fromGains, boundary[losses]!); gains <= toGains; gains++)
        visit(this.#place(losses, gains));
    }
  }
}

/** Ranges of the numbers of losses and of gains for which probabilities are computed at some number of rows. */
interface Window {
  readonly from: number;
  readonly to: number;
  readonly fromGains: number;
  readonly toGains: number;
}

/**
 * Range of the numbers of losses, or of gains, for which probabilities are computed. It depends on the number of rows.
 */
class Axis {
  readonly most: number;
  readonly #share: number;

  constructor(share: number, rows: number) {
    this.#share = share;
    this.most = this.at(rows).to;
  }

  at(rows: number): { from: number; to: number } {
    const expected = rows * this.#share;
    const spread = REACH * Math.sqrt(expected * (1 - this.#share)) + (expected > 0 ? REACH : 0);
    return { from: Math.max(0, Math.floor(expected - spread)), to: Math.min(rows, Math.ceil(expected + spread)) };
  }
}

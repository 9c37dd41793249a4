import { tangoStatistic, type Flips } from './paired-statistics.ts';

/**
 * Design of a group-sequential test of two versions whose rows are right or wrong: the test is made several times
 * while rows come in, and ends at the first time that it shows the second version not to be worse by the margin.
 */
export interface SequentialDesign {
  /** Numbers of rows after which the test is made, ascending. The last is that of all rows. */
  readonly analyses: readonly number[];
  /** Difference of the shares of right rows, in (0, 1), from which the second version counts as worse. */
  readonly margin: number;
  /** Largest probability, over all analyses together, that a version that is worse by the margin passes. */
  readonly level: number;
}

/** Share of the level that is used. The rest is for shares of losses between those that are tried. */
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

/** Probability of each flip on one row. */
export interface FlipShares {
  readonly gain: number;
  readonly loss: number;
}

/** Returns the probability of passing at each analysis, of a version whose rows flip with these probabilities. */
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

/** Ratio of each tried share of losses to the one before it. */
const RATIO = 1.2;

/**
 * Returns the shares of losses at which a design is held, from the smallest to the largest that are possible where the
 * second version is worse by exactly the margin.
 */
function triedShares(margin: number): number[] {
  const most = (1 + margin) / 2;
  const steps = Math.ceil(Math.log(most / margin) / Math.log(RATIO));
  return Array.from({ length: steps + 1 }, (_, i) => margin * (most / margin) ** (i / steps));
}

/** Least number of gains, for each number of losses as the index, with which an outcome passes. */
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

/** Whether an outcome reaches a critical value. Rounding does not exclude a tie. */
export function passes(flips: Flips, margin: number, value: number): boolean {
  return tangoStatistic(flips, -margin) >= value - 1e-9;
}

/** Largest critical value that is tried. Beyond it, an analysis passes nothing. */
const LARGEST_VALUE = 8;

/** Returns the smallest critical value whose boundary is allowed, to 0.001; Infinity if none up to 8 is. */
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
 * Distance from the expected number of losses or gains, in standard deviations, up to which numbers are followed. The
 * probability of all others counts as if they passed, so that the level holds in spite of it.
 */
const REACH = 5;

/** Joint probabilities of the numbers of losses and gains, row by row, of all outcomes that have not passed yet. */
class Walk {
  /**
   * Probability that the second version has passed at an earlier analysis, or that the numbers of losses and gains are
   * beyond those that are followed.
   */
  stopped = 0;
  readonly #shares: FlipShares;
  readonly #losses: Axis;
  readonly #gains: Axis;
  /** Probability of each pair of numbers, the gains within the losses. */
  readonly #probabilities: Float64Array;
  /** Number of places for each number of losses. */
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

  /** Adds rows until there are as many as given. */
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

  /** Removes the places that are no longer followed. */
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

  /** Returns the probability of all outcomes that pass a boundary now. */
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

/** Numbers of losses and of gains that are followed after some rows. */
interface Window {
  readonly from: number;
  readonly to: number;
  readonly fromGains: number;
  readonly toGains: number;
}

/** Range of the numbers of one kind of flip that are followed, for each number of rows. */
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

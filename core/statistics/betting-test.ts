import { Random } from './random.ts';

/** What {@link meanPValue} tests: that the values' mean is at most `mean`. */
export interface MeanTest {
  /** In [0, 1], drawn independently of each other. */
  readonly values: ArrayLike<number>;
  /** In (0, 1). */
  readonly mean: number;
  /** The level at which the test shall be most powerful. It holds at every level. */
  readonly level: number;
  /** Of the order in which the values are bet on. Default 0. */
  readonly seed?: number;
}

/** Largest share of the capital that one value may lose. */
export const LARGEST_BET = 0.75;

/**
 * The p-value of a test that bets against a mean (Waudby-Smith and Ramdas, Estimating means of bounded random variables by
 * betting, J. R. Stat. Soc. B 86, 2024, 1–27). Capital of 1 is bet on one value after the other, in a seeded random order:
 *
 *     Kₜ = Kₜ₋₁ (1 + λₜ (xₜ − mean)),   λₜ = √(2 ln(1 / level) / (n σ̂²ₜ₋₁)), at most 3/4 / mean
 *
 * with σ̂² the variance of the values before. If the mean is at most `mean`, no bet gains on average, and the capital exceeds
 * 1 / p at any time with a probability of at most p (Ville's inequality), whatever the values are distributed like.
 */
export function meanPValue({ values, mean, level, seed = 0 }: MeanTest): number {
  const rows = values.length;
  const order = Random.fromSeed(seed).shuffle(Array.from({ length: rows }, (_, i) => i));
  const stake = (2 * Math.log(1 / level)) / rows;
  const seen = new RunningVariance();
  let capital = 0;
  let largest = 0;
  for (const row of order) {
    const value = values[row]!;
    const bet = Math.min(Math.sqrt(stake / seen.variance), LARGEST_BET / mean);
    capital += Math.log1p(bet * (value - mean));
    largest = Math.max(largest, capital);
    seen.add(value);
  }
  return Number.isFinite(capital) ? Math.exp(-largest) : 1;
}

/** One-sided lower bound of the mean: the largest one that {@link meanPValue} rejects at the level; 0 if it rejects none. */
export function lowerBoundOfMean(test: Omit<MeanTest, 'mean'>): number {
  let rejected = 0;
  let kept = 1;
  for (let i = 0; i < 30; i++) {
    const mean = (rejected + kept) / 2;
    if (meanPValue({ ...test, mean }) <= test.level) rejected = mean;
    else kept = mean;
  }
  return rejected;
}

/** Variance of the values so far, as if a half and the largest variance there is, 1/4, had been seen before them. */
class RunningVariance {
  #count = 0;
  #sum = 0.5;
  #squares = 0.25;

  get variance(): number {
    return this.#squares / (this.#count + 1);
  }

  add(value: number): void {
    this.#count++;
    this.#sum += value;
    this.#squares += (value - this.#sum / (this.#count + 1)) ** 2;
  }
}

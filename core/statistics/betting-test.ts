/**
 * Arguments of {@link meanPValue}, a test whose null hypothesis is that the true mean of the values is at most `mean`.
 */
export interface MeanTest {
  /** Independent values in [0, 1] whose mean is tested. Their order must not depend on the values themselves. */
  readonly values: ArrayLike<number>;
  /**
   * Number of values that the test may reach in the end; the bets are sized for it. Default: the number of values
   * given.
   */
  readonly of?: number;
  /** Largest mean under the null hypothesis, in (0, 1). */
  readonly mean: number;
  /**
   * Error probability for which the bets are chosen, so that the test is most powerful at it. The p-value is valid at
   * any level.
   */
  readonly level: number;
}

/** Largest share of the capital that a bet on one value may lose. */
export const LARGEST_BET = 0.75;

/**
 * Returns the p-value of a test by betting against a mean (Waudby-Smith and Ramdas, Estimating means of bounded random
 * variables by betting, J. R. Stat. Soc. B 86, 2024, 1–27). A capital of 1 is bet on one value after another:
 *
 *     Kₜ = Kₜ₋₁ (1 + λₜ (xₜ − mean)),   λₜ = √(2 ln(1 / level) / (n σ̂²ₜ₋₁)), at most 3/4 / mean
 *
 * where σ̂² is the variance of the earlier values. If the mean is at most `mean`, no bet gains on average, and the
 * capital ever exceeds 1 / p with a probability of at most p (Ville's inequality), whatever the distribution of the
 * values. So the test may be made after every value, with the same bets.
 */
export function meanPValue({ values, of = values.length, mean, level }: MeanTest): number {
  const stake = (2 * Math.log(1 / level)) / of;
  const seen = new RunningVariance();
  let capital = 0;
  let largest = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    const bet = Math.min(Math.sqrt(stake / seen.variance), LARGEST_BET / mean);
    capital += Math.log1p(bet * (value - mean));
    largest = Math.max(largest, capital);
    seen.add(value);
  }
  return Number.isFinite(capital) ? Math.exp(-largest) : 1;
}

/**
 * One-sided lower bound of the mean: the largest mean that {@link meanPValue} rejects at the level; 0 if it rejects
 * none.
 */
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

/**
 * Running variance of values in [0, 1]. It starts as if it had seen the value 1/2 with the largest possible variance,
 * 1/4.
 */
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

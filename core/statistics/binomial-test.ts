/**
 * Arguments of {@link shortfallPValue}: the number of right rows, the number of all rows, and the share of right rows
 * to test. The null hypothesis is that the true share of right rows is at most `share`.
 */
export interface ShareTest {
  readonly right: number;
  readonly rows: number;
  /** Largest share of right rows under the null hypothesis, in (0, 1). */
  readonly share: number;
}

/**
 * Returns the p-value of the exact binomial test. The null hypothesis is that the true share of right rows is at most
 * `share`. The p-value is the probability of at least `right` right rows if the true share is exactly `share`.
 */
export function shortfallPValue({ right, rows, share }: ShareTest): number {
  if (right <= 0) return 1;
  const odds = Math.log(share) - Math.log1p(-share);
  // The terms are relative to the probability of the observed number, whose logarithm is the sum of its factors'
  // logarithms.
  let log = rows * Math.log1p(-share);
  for (let i = 1; i <= right; i++) log += Math.log((rows - i + 1) / i) + odds;
  let term = 1;
  let sum = 1;
  for (let i = right; i < rows && term > 1e-17 * sum; i++) {
    term *= ((rows - i) / (i + 1)) * Math.exp(odds);
    sum += term;
  }
  return Math.min(1, Math.exp(log + Math.log(sum)));
}

/**
 * Returns a one-sided lower confidence bound of the share of right rows: the largest share that {@link shortfallPValue}
 * rejects at the level (Clopper and Pearson, Biometrika 26, 1934, 404–413).
 */
export function lowerBoundOfShare({ right, rows }: Omit<ShareTest, 'share'>, level: number): number {
  let rejected = 0;
  let kept = right / rows;
  for (let i = 0; i < 40; i++) {
    const share = (rejected + kept) / 2;
    if (shortfallPValue({ right, rows, share }) <= level) rejected = share;
    else kept = share;
  }
  return rejected;
}

const INVERSE_ROOT_TWO_PI = 1 / Math.sqrt(2 * Math.PI);

/** Density of the standard normal distribution. */
export function normalDensity(x: number): number {
  return INVERSE_ROOT_TWO_PI * Math.exp(-0.5 * x * x);
}

/**
 * Distribution function of the standard normal distribution, to about 1e-15. It is a Taylor series about 0 (Marsaglia,
 * Evaluating the normal distribution, J. Stat. Softw. 11, 2004), and in the tails Laplace's continued fraction of the
 * Mills ratio, which keeps relative accuracy there.
 */
export function normalDistribution(x: number): number {
  if (Math.abs(x) > 5) return x > 0 ? 1 - upperTail(x) : upperTail(-x);
  let term = x;
  let sum = x;
  for (let k = 3; Math.abs(term) > 1e-17 * Math.abs(sum) && k < 400; k += 2) {
    term *= (x * x) / k;
    sum += term;
  }
  return 0.5 + sum * normalDensity(x);
}

/** 1 − Φ(x) for x > 5: φ(x) / (x + 1/(x + 2/(x + 3/(x + …)))). */
function upperTail(x: number): number {
  let denominator = x;
  for (let k = 60; k >= 1; k--) denominator = x + k / denominator;
  return normalDensity(x) / denominator;
}

/**
 * The quantile of Student's t distribution with the given degrees of freedom that belongs to the normal quantile z
 * (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5, its first three terms).
 */
export function studentQuantile(z: number, degrees: number): number {
  const first = (z ** 3 + z) / 4;
  const second = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96;
  const third = (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384;
  return z + first / degrees + second / degrees ** 2 + third / degrees ** 3;
}

/**
 * Finds z with Φ(z) = p by bisection of the distribution function.
 * @throws RangeError unless 0 < p < 1
 */
export function normalQuantile(p: number): number {
  if (!(p > 0 && p < 1)) throw new RangeError(`probability is ${p}, expected a number between 0 and 1`);
  let low = -40;
  let high = 40;
  for (let i = 0; i < 70; i++) {
    const middle = (low + high) / 2;
    if (normalDistribution(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

const INVERSE_ROOT_TWO_PI = 1 / Math.sqrt(2 * Math.PI);

/** Density of the standard normal distribution. */
export function normalDensity(x: number): number {
  return INVERSE_ROOT_TWO_PI * Math.exp(-0.5 * x * x);
}

/**
 * Distribution function of the standard normal distribution, to about 1e-15: Taylor series about 0 (Marsaglia,
 * Evaluating the normal distribution, J. Stat. Softw. 11, 2004), in the tails Laplace's continued fraction of the Mills
 * ratio, which keeps relative accuracy there.
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

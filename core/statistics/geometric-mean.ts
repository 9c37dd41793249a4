import { normalQuantile, studentQuantile } from './distributions.ts';

/**
 * Summary of positive ratios: their number, and the mean and the standard deviation (n − 1) of their natural
 * logarithms.
 */
export interface LogRatios {
  readonly count: number;
  readonly mean: number;
  readonly deviation: number;
}

/** Smallest number of ratios for which an interval is returned. With fewer, it would be too wide to be useful. */
const MIN_RATIOS = 5;

/**
 * Returns a two-sided confidence interval of the geometric mean of n ratios, exp(m ± t · s / √n): m and s are the mean
 * and the standard deviation of their logarithms, and t is the quantile of Student's t distribution.
 * @param confidence in (0, 1)
 * @returns null for fewer than five ratios
 */
export function geometricMeanInterval(
  { count, mean, deviation }: LogRatios,
  confidence: number,
): { readonly low: number; readonly high: number } | null {
  if (count < MIN_RATIOS) return null;
  const t = studentQuantile(normalQuantile((1 + confidence) / 2), count - 1);
  const half = (t * deviation) / Math.sqrt(count);
  return { low: Math.exp(mean - half), high: Math.exp(mean + half) };
}

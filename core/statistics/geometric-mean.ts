import { normalQuantile, studentQuantile } from './distributions.ts';

/** Number of positive ratios, and the mean and standard deviation (n − 1) of their logarithms. */
export interface LogRatios {
  readonly count: number;
  readonly mean: number;
  readonly deviation: number;
}

/** Smallest number of ratios for an interval that is narrow enough to be useful. */
const MIN_RATIOS = 5;

/**
 * Two-sided interval of the geometric mean of ratios, by Student's t of their logarithms: exp(m ± t · s / √n).
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

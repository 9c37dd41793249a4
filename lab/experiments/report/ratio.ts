import type { Duration } from './readiness.ts';
import { mean } from './statistics.ts';

/** Time of the baseline over that of the strategy. */
export interface Ratio {
  readonly value: number;
  /** Whether the value is a lower bound, because the baseline never became ready. */
  readonly bound: boolean;
}

/**
 * Divides the baseline's time to readiness by the strategy's. No pair is dropped: if the baseline was not ready, its
 * whole budget counts as its time, which makes the ratio a lower bound; if the strategy was not ready, the ratio is 0.
 */
export function ttrRatio(strategy: Duration, baseline: Duration): Ratio {
  if (!strategy.happened) return { value: 0, bound: false };
  return { value: baseline.ms / strategy.ms, bound: !baseline.happened };
}

/**
 * Computes the median of ratios. It is a lower bound if one of the ratios up to the median is, since that ratio's true
 * value may be larger.
 * @returns null if there are no ratios
 */
export function medianRatio(ratios: readonly Ratio[]): Ratio | null {
  if (ratios.length === 0) return null;
  const sorted = ratios.toSorted((a, b) => a.value - b.value);
  const upper = sorted.length >> 1;
  const lower = (sorted.length - 1) >> 1;
  const value = mean(sorted.slice(lower, upper + 1).map((ratio) => ratio.value));
  return { value, bound: sorted.slice(0, upper + 1).some(({ bound }) => bound) };
}

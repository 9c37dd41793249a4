import type { Duration } from './readiness.ts';

/** How many times as long the baseline took; a lower bound where the baseline never got there. */
export interface Ratio {
  readonly value: number;
  readonly bound: boolean;
}

/**
 * The baseline's time to readiness over the strategy's, pair by pair. Nothing is dropped: where the baseline was given up,
 * the time it was given counts, which makes the ratio a lower bound; where the strategy was not ready, the ratio is 0.
 */
export function ttrRatio(strategy: Duration, baseline: Duration): Ratio {
  if (!strategy.happened) return { value: 0, bound: false };
  return { value: baseline.ms / strategy.ms, bound: !baseline.happened };
}

/**
 * The median of ratios, itself a lower bound where a lower bound is in it or below: its true value may lie above.
 * @returns null of no ratios
 */
export function medianRatio(ratios: readonly Ratio[]): Ratio | null {
  if (ratios.length === 0) return null;
  const sorted = [...ratios].sort((a, b) => a.value - b.value);
  const upper = sorted.length >> 1;
  const lower = (sorted.length - 1) >> 1;
  const value = (sorted[lower]!.value + sorted[upper]!.value) / 2;
  return { value, bound: sorted.slice(0, upper + 1).some(({ bound }) => bound) };
}

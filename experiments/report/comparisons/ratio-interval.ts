import { Random } from '../../../core/statistics/random.ts';
import { medianRatio, ttrRatio, type Ratio } from '../ratio.ts';
import type { Duration } from '../readiness.ts';

/** The times of the two jobs of one pair. */
export interface TimePair {
  readonly strategy: Duration;
  readonly baseline: Duration;
}

export interface RatioInterval {
  readonly median: Ratio;
  /** Two-sided interval of 95 %; an end is a lower bound if the median of its sample is. */
  readonly interval: readonly [Ratio, Ratio];
  /** How many pairs were ready with both, with one alone, and with neither. */
  readonly ready: {
    readonly both: number;
    readonly strategy: number;
    readonly baseline: number;
    readonly neither: number;
  };
}

const SAMPLES = 4000;
const TAIL = 0.025;

/**
 * Median of the ratios of times to readiness, with the percentile interval of a bootstrap that draws whole tenants, because the jobs
 * of one tenant resemble each other. No pair is dropped: a strategy that was not ready has the ratio 0, and where the baseline was not,
 * its budget stands for its time. So a sample's median is never too large, and neither is an end of the interval.
 * @param tenants the pairs of each tenant
 */
export function ratioInterval(
  tenants: readonly (readonly TimePair[])[],
  { seed = 0, samples = SAMPLES }: { readonly seed?: number; readonly samples?: number } = {},
): RatioInterval | null {
  const ratios = tenants.map((pairs) => pairs.map(({ strategy, baseline }) => ttrRatio(strategy, baseline)));
  const median = medianRatio(ratios.flat());
  if (median === null) return null;
  const random = Random.fromSeed(seed);
  const medians = Array.from({ length: samples }, () => {
    return medianRatio(ratios.flatMap(() => ratios[random.integer(ratios.length)]!))!;
  });
  medians.sort((a, b) => a.value - b.value);
  const cut = Math.floor(TAIL * samples);
  return { median, interval: [medians[cut]!, medians[samples - 1 - cut]!], ready: countReady(tenants.flat()) };
}

function countReady(pairs: readonly TimePair[]): RatioInterval['ready'] {
  const count = (strategy: boolean, baseline: boolean): number =>
    pairs.filter((pair) => pair.strategy.happened === strategy && pair.baseline.happened === baseline).length;
  return {
    both: count(true, true),
    strategy: count(true, false),
    baseline: count(false, true),
    neither: count(false, false),
  };
}

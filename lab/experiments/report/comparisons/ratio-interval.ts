import { Random } from '../../../../core/statistics/random.ts';
import { medianRatio, ttrRatio, type Ratio } from '../ratio.ts';
import type { Duration } from '../readiness.ts';

/** Times of the two jobs of a pair. */
export interface TimePair {
  readonly strategy: Duration;
  readonly baseline: Duration;
}

export interface RatioInterval {
  readonly median: Ratio;
  /** Two-sided 95 % interval. An end is a lower bound if the median of its sample is. */
  readonly interval: readonly [Ratio, Ratio];
  /** Numbers of pairs that were ready with both strategies, with one alone, and with neither. */
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
 * Median of the ratios of times to readiness, with the percentile interval of a bootstrap that draws whole tenants,
 * because the jobs of one tenant resemble each other. No pair is dropped: a strategy that was not ready has the ratio
 * 0, and for a baseline that was not ready its budget counts as its time. So a sample's median is never too large, and
 * neither is an end of the interval.
 * @param tenants pairs of each tenant
 */
export function ratioInterval(
  tenants: readonly (readonly TimePair[])[],
  { seed = 0, samples = SAMPLES }: { readonly seed?: number; readonly samples?: number } = {},
): RatioInterval | null {
  const ratios = tenants.map((pairs) => pairs.map(({ strategy, baseline }) => ttrRatio(strategy, baseline)));
  const median = medianRatio(ratios.flat());
  if (median === null) return null;
  const medians = sampledMedians(ratios, { seed, samples }).sort((a, b) => a.value - b.value);
  const cut = Math.floor(TAIL * samples);
  return { median, interval: [medians[cut]!, medians[samples - 1 - cut]!], ready: countReady(tenants.flat()) };
}

/**
 * Computes the medians of samples of whole tenants like `medianRatio`. All ratios are sorted once, and a sample only
 * counts how often each tenant was drawn. Of equal ratios, bounds come first.
 */
function sampledMedians(
  tenants: readonly (readonly Ratio[])[],
  { seed, samples }: { readonly seed: number; readonly samples: number },
): Ratio[] {
  const sorted = tenants
    .flatMap((ratios, tenant) => ratios.map((ratio) => ({ ...ratio, tenant })))
    .sort((a, b) => a.value - b.value || Number(b.bound) - Number(a.bound));
  const random = Random.fromSeed(seed);
  const times = new Int32Array(tenants.length);
  return Array.from({ length: samples }, () => {
    times.fill(0);
    let count = 0;
    for (let i = 0; i < tenants.length; i++) {
      const tenant = random.integer(tenants.length);
      times[tenant]!++;
      count += tenants[tenant]!.length;
    }
    return medianOfSample(sorted, times, count);
  });
}

function medianOfSample(
  sorted: readonly (Ratio & { readonly tenant: number })[],
  times: Int32Array,
  count: number,
): Ratio {
  const [lower, upper] = [(count - 1) >> 1, count >> 1];
  let [passed, low, bound] = [0, 0, false];
  for (const ratio of sorted) {
    const often = times[ratio.tenant]!;
    if (often === 0) continue;
    bound ||= ratio.bound;
    if (passed <= lower && lower < passed + often) low = ratio.value;
    passed += often;
    if (upper < passed) return { value: (low + ratio.value) / 2, bound };
  }
  throw new RangeError('a sample has no ratios');
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

import { ratio } from '../format.ts';
import type { PairedInterval } from './paired-interval.ts';
import type { RatioInterval } from './ratio-interval.ts';

/** Heading of the column of {@link readyCounts}. */
export const READY = 'ready: both, this, other, neither';

/** Writes the numbers of pairs that were ready with both strategies, with one and with neither. */
export function readyCounts(time: RatioInterval | null): string {
  return time === null
    ? ''
    : [time.ready.both, time.ready.strategy, time.ready.baseline, time.ready.neither].join(', ');
}

/** Writes `3.68 (2.81 to 4.45)`. */
export function timesSooner(time: RatioInterval | null): string {
  return time === null ? '–' : `${ratio(time.median)}${ends(time.interval.map(ratio))}`;
}

/** Writes `+0.8 (−0.1 to +1.8)`. */
export function pointsBetter(quality: PairedInterval | null): string {
  return quality === null ? '–' : `${points(quality.mean)}${ends(quality.interval?.map(points))}`;
}

/** Writes a difference in points with its sign: `+1.2`, `−0.3`. */
export function points(value: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(100 * value).toFixed(1)}`;
}

/** Writes the ends of an interval after its estimate, ` (−0.3 to +1.2)`. Empty without an interval. */
export function ends(interval: readonly string[] | undefined): string {
  return interval === undefined ? '' : ` (${interval.join(' to ')})`;
}

import { pointsBetter, timesSooner } from '../comparisons/written-intervals.ts';
import type { PairedInterval } from '../comparisons/paired-interval.ts';
import type { RatioInterval } from '../comparisons/ratio-interval.ts';

/** `cannot be said`: the interval holds values on both sides of the bound, or there is none. So it is not shown, and not refuted. */
export type Result = 'reached' | 'missed' | 'cannot be said';

/** An estimate with its interval, and what follows from it. */
export interface Finding {
  /** What it is about, where a hypothesis has several. */
  readonly label: string;
  /** The estimate and the ends of its 95 % interval; null where there are not enough jobs. */
  readonly value: number | null;
  readonly interval: readonly [number, number] | null;
  /** Both as they are shown. */
  readonly text: string;
  readonly result: Result;
  /** Whether the hypothesis depends on it. Others stand beside it. */
  readonly decides: boolean;
}

/** A registered hypothesis and what the results say about it. */
export interface Judgement {
  readonly id: string;
  readonly claim: string;
  /** What has to hold. */
  readonly condition: string;
  readonly findings: readonly Finding[];
  /** What has to be known beside the findings: numbers of pairs, and how many were ready. */
  readonly notes: readonly string[];
  readonly result: Result;
}

/** Which end of an interval has to be on which side of a value. */
export interface Bound {
  readonly end: 'lower' | 'upper';
  readonly value: number;
  /** Whether the value itself does not suffice. */
  readonly strict?: boolean;
}

/** @param interval null where there are too few jobs for one */
export function judge(interval: readonly [number, number] | null, { end, value, strict = false }: Bound): Result {
  if (interval === null) return 'cannot be said';
  // Signs are turned so that the bound is always one from below.
  const [near, far, least] = end === 'lower' ? [interval[0], interval[1], value] : [-interval[1], -interval[0], -value];
  const suffices = (one: number): boolean => (strict ? one > least : one >= least);
  if (suffices(near)) return 'reached';
  return suffices(far) ? 'cannot be said' : 'missed';
}

interface About {
  readonly label?: string;
  readonly bound: Bound;
  readonly decides?: boolean;
}

/** A difference on test rows, in points. */
export function differenceFinding(
  quality: PairedInterval | null,
  { label = '', bound, decides = true }: About,
): Finding {
  const [value, interval] = [quality?.mean ?? null, quality?.interval ?? null];
  const text = value === null ? '–' : `${pointsBetter(quality)} points`;
  return { label, value, interval, text, result: judge(interval, bound), decides };
}

/** A ratio of times. An end that is itself a lower bound refutes nothing. */
export function ratioFinding(time: RatioInterval | null, { label = '', bound, decides = true }: About): Finding {
  if (time === null) return { label, value: null, interval: null, text: '–', result: 'cannot be said', decides };
  const [low, high] = time.interval;
  return {
    label,
    value: time.median.value,
    interval: [low.value, high.value],
    text: `${timesSooner(time)} times`,
    result: judge([low.value, high.bound ? Infinity : high.value], bound),
    decides,
  };
}

/** The worst of what decides: `missed`, then `cannot be said`. */
export function together(judgement: Omit<Judgement, 'result'>): Judgement {
  const results = judgement.findings.filter(({ decides }) => decides).map(({ result }) => result);
  const worst = (['missed', 'cannot be said'] as const).find((one) => results.includes(one));
  return { ...judgement, result: worst ?? (results.length > 0 ? 'reached' : 'cannot be said') };
}

import { pointsBetter, timesSooner } from '../comparisons/written-intervals.ts';
import type { PairedInterval } from '../comparisons/paired-interval.ts';
import type { RatioInterval } from '../comparisons/ratio-interval.ts';

/** Result of a judgement. `cannot be said`: the interval holds values on both sides of the bound, or there is none. */
export type Result = 'reached' | 'missed' | 'cannot be said';

/** Estimate with its interval and its result. */
export interface Finding {
  /** Label, if the hypothesis has several findings. */
  readonly label: string;
  /** Estimate, or null if there are too few jobs. */
  readonly value: number | null;
  /** Two-sided 95 % interval, or null if there are too few jobs. */
  readonly interval: readonly [number, number] | null;
  /** Estimate and interval as text. */
  readonly text: string;
  readonly result: Result;
  /** Whether the result of the hypothesis depends on it. */
  readonly decides: boolean;
}

/** Registered hypothesis with its findings and result. */
export interface Judgement {
  readonly id: string;
  readonly claim: string;
  /** Condition under which the hypothesis holds. */
  readonly condition: string;
  readonly findings: readonly Finding[];
  /** Notes on the findings: numbers of pairs, and of those that were ready. */
  readonly notes: readonly string[];
  readonly result: Result;
}

/** Bound for an end of an interval: at least the value for the lower end, at most the value for the upper one. */
export interface Bound {
  readonly end: 'lower' | 'upper';
  readonly value: number;
  /** Whether the value itself does not suffice. */
  readonly strict?: boolean;
}

/** Judges an interval by a bound. @param interval null if there are too few jobs */
export function judge(interval: readonly [number, number] | null, { end, value, strict = false }: Bound): Result {
  if (interval === null) return 'cannot be said';
  // For the upper end all signs are turned, so that the bound is always one from below.
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

/** Makes the finding of a difference on test rows, in points. */
export function differenceFinding(
  quality: PairedInterval | null,
  { label = '', bound, decides = true }: About,
): Finding {
  const [value, interval] = [quality?.mean ?? null, quality?.interval ?? null];
  const text = value === null ? '–' : `${pointsBetter(quality)} points`;
  return { label, value, interval, text, result: judge(interval, bound), decides };
}

/** Makes the finding of a ratio of times. An upper end that is itself a lower bound refutes nothing. */
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

/** Sets the result to the worst of the deciding findings: `missed`, then `cannot be said`, then `reached`. */
export function together(judgement: Omit<Judgement, 'result'>): Judgement {
  const results = judgement.findings.filter(({ decides }) => decides).map(({ result }) => result);
  const worst = (['missed', 'cannot be said'] as const).find((one) => results.includes(one));
  return { ...judgement, result: worst ?? (results.length > 0 ? 'reached' : 'cannot be said') };
}

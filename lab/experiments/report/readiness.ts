import type { CellRecord } from '../records.ts';

/** Time until a job became ready, or until it ended without. */
export interface Duration {
  readonly ms: number;
  /** Whether the job became ready; if not, its budget was spent by then. */
  readonly happened: boolean;
}

export interface ReadinessStep {
  readonly ms: number;
  /** Share of all jobs that are ready by this time, from 0 to 1. */
  readonly share: number;
  /** Number of jobs that spent their budget in vain at exactly this time. */
  readonly gaveUp: number;
}

/**
 * Computes the share of all jobs that are ready by each time. This is the cumulative incidence, in which giving up
 * competes with readiness (Aalen and Johansen 1978); it is a plain share because every job is watched to its end.
 * Kaplan and Meier's estimate would be wrong here. It assumes that a job that was given up would have gone on like the
 * others, but these jobs end because their strategy has nothing more to try: if one of six reverts became ready after
 * the other five had ended, that estimate would count all six as ready.
 * @returns a step at time 0 and one for each distinct time, in order
 */
export function readinessCurve(durations: readonly Duration[]): ReadinessStep[] {
  const times = [...new Set(durations.map(({ ms }) => ms))].sort((a, b) => a - b);
  const upTo = (ms: number): number => durations.filter((one) => one.happened && one.ms <= ms).length;
  const steps = times.map((ms) => ({
    ms,
    share: upTo(ms) / durations.length,
    gaveUp: durations.filter((one) => !one.happened && one.ms === ms).length,
  }));
  return [{ ms: 0, share: 0, gaveUp: 0 }, ...steps];
}

/** Smallest time by which half of all jobs are ready, or null if fewer become ready. */
export function medianTime(durations: readonly Duration[]): number | null {
  return readinessCurve(durations).find(({ share }) => share >= 0.5)?.ms ?? null;
}

/**
 * Lower bound of the median time to readiness without budgets: the median over all jobs of the time at which they were
 * ready or ended.
 */
export function medianOfEnds(durations: readonly Duration[]): number | null {
  return durations.map(({ ms }) => ms).toSorted((a, b) => a - b)[(durations.length - 1) >> 1] ?? null;
}

export function durationOf({
  state,
  readyMs,
  elapsedMs,
}: Pick<CellRecord, 'state' | 'readyMs' | 'elapsedMs'>): Duration {
  return state === 'ready' ? { ms: readyMs!, happened: true } : { ms: elapsedMs, happened: false };
}

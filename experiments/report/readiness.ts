/** How long something took, or how long it was watched without its happening. */
export interface Duration {
  readonly ms: number;
  /** False: the budget was spent by then and it had not happened. */
  readonly happened: boolean;
}

export interface ReadinessStep {
  readonly ms: number;
  /** Share of all jobs that were ready by then, from 0 to 1. */
  readonly share: number;
  /** Jobs that had spent their budget at this time. */
  readonly gaveUp: number;
}

/**
 * Share of all jobs that are ready by a time: the cumulative incidence, in which giving up is an outcome that competes with
 * readiness (Aalen and Johansen 1978; with every job watched to its end it is this plain share). Not Kaplan and Meier's
 * estimate: it takes for granted that a job that was given up would have gone on like the others, while these gave up
 * because their strategy had nothing more to try. With it, one revert of six that is ready after the five others have ended
 * would count as all six being ready.
 * @returns a step for each distinct time, in order, after one at 0
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

/** Smallest time by which half of all jobs are ready; null where they never are. */
export function medianTime(durations: readonly Duration[]): number | null {
  return readinessCurve(durations).find(({ share }) => share >= 0.5)?.ms ?? null;
}

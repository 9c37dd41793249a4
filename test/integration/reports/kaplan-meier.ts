/** Times until an event, and right-censored times at which nothing had happened yet. Any unit, unordered. */
export interface CensoredTimes {
  readonly events: ArrayLike<number>;
  readonly censored: ArrayLike<number>;
}

/** Share that still waits after a time at which events happen. */
export interface SurvivalStep {
  readonly time: number;
  readonly survival: number;
}

/**
 * Product-limit estimate of the survival function (Kaplan and Meier, Journal of the American Statistical Association
 * 53, 1958, 457–481), one step per event time, ascending. A time censored at an event's time was still at risk then.
 * Assumes that censoring is independent of the events.
 */
export function survivalSteps({ events, censored }: CensoredTimes): SurvivalStep[] {
  const happened = Float64Array.from(events).sort();
  const left = Float64Array.from(censored).sort();
  const steps: SurvivalStep[] = [];
  let survival = 1;
  let gone = 0;
  for (let i = 0; i < happened.length;) {
    const time = happened[i]!;
    const first = i;
    while (i < happened.length && happened[i] === time) i++;
    while (gone < left.length && left[gone]! < time) gone++;
    const atRisk = happened.length - first + (left.length - gone);
    survival *= 1 - (i - first) / atRisk;
    steps.push({ time, survival });
  }
  return steps;
}

/** Tolerance for rounding errors in products of fractions that should equal a share exactly. */
const ROUNDING = 1e-12;

/**
 * Times by which shares of the events have happened. If the estimate equals the share over an interval, the result is
 * its middle, like a median of uncensored times and like R's `quantile.survfit`.
 * @param shares in (0, 1)
 * @returns null for a share that is not reached
 */
export function kaplanMeierQuantiles(times: CensoredTimes, shares: readonly number[]): (number | null)[] {
  const steps = survivalSteps(times);
  return shares.map((share) => {
    const place = steps.findIndex(({ survival }) => survival <= 1 - share + ROUNDING);
    const [step, next] = [steps[place], steps[place + 1]];
    if (step === undefined) return null;
    const isFlat = Math.abs(step.survival - (1 - share)) <= ROUNDING;
    return isFlat && next !== undefined ? (step.time + next.time) / 2 : step.time;
  });
}

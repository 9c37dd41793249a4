/** Times until an event, and times up to which nothing had happened when somebody last looked (right-censored). Any unit, unordered. */
export interface CensoredTimes {
  readonly events: ArrayLike<number>;
  readonly censored: ArrayLike<number>;
}

/** The share that still waits after a time at which events happen. */
export interface SurvivalStep {
  readonly time: number;
  readonly survival: number;
}

/**
 * The product-limit estimate of the survival function (Kaplan and Meier, Journal of the American Statistical Association 53, 1958,
 * 457–481), one step for each time of an event, in ascending order. What is censored at the time of an event was still at risk then.
 * It takes censoring to say nothing of when the event would have come.
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

/** Products of fractions are off by rounding where they should be a share exactly. */
const ROUNDING = 1e-12;

/**
 * The times by which shares of the events have happened. Where the estimate is exactly the share over an interval, it is the middle
 * of that, as a median of uncensored times is, and as R's `quantile.survfit` has it.
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

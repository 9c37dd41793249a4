/** How long something took, or how long it was watched without its happening. */
export interface Duration {
  readonly ms: number;
  /** False: censored, it had not happened by then. */
  readonly happened: boolean;
}

export interface SurvivalStep {
  readonly ms: number;
  /** Estimated share to which it has happened by then, from 0 to 1. */
  readonly share: number;
  /** Runs that were given up at this time. */
  readonly censored: number;
}

/**
 * The estimator of Kaplan and Meier (JASA 53, 1958) of the share that is ready by a time, 1 − S(t) with
 * S(t) = Π over tᵢ ≤ t of (1 − dᵢ / nᵢ): dᵢ became ready at tᵢ, nᵢ were neither ready nor given up before it. A run that
 * was given up counts among the nᵢ up to then, so that it is neither dropped nor taken for a slow success.
 * @returns a step for each distinct time, in order, after one at 0
 */
export function kaplanMeier(durations: readonly Duration[]): SurvivalStep[] {
  const times = [...new Set(durations.map(({ ms }) => ms))].sort((a, b) => a - b);
  const steps: SurvivalStep[] = [{ ms: 0, share: 0, censored: 0 }];
  let survival = 1;
  for (const ms of times) {
    const atRisk = durations.filter((one) => one.ms >= ms).length;
    const now = durations.filter((one) => one.ms === ms);
    const events = now.filter(({ happened }) => happened).length;
    survival *= 1 - events / atRisk;
    steps.push({ ms, share: 1 - survival, censored: now.length - events });
  }
  return steps;
}

/** Smallest time by which the share is a half; null where it never is. */
export function medianTime(durations: readonly Duration[]): number | null {
  return kaplanMeier(durations).find(({ share }) => share >= 0.5 - 1e-12)?.ms ?? null;
}

import type { PauseIf } from '../policy.schemas.ts';

/**
 * Figures of the jobs of a wave that have ended so far, from which `pause_if` judges the wave. A mean is null if
 * nothing was measured.
 */
export interface WaveFigures {
  /** Number of adaptations that have ended and were not cancelled. */
  readonly ended: number;
  /** Number of adaptations that ended as not ready or failed. */
  readonly unready: number;
  /** Mean amount by which the gate's metric is worse for the published versions than for the versions before them. */
  readonly metric_drop: number | null;
  readonly negative_flips: number | null;
}

/** Condition of `pause_if` that a wave has violated: its value is larger than the limit in the policy. */
export interface TrippedCondition {
  readonly condition: 'unready_share' | 'metric_drop' | 'negative_flips';
  readonly value: number;
  readonly limit: number;
}

/**
 * Number of jobs that must have ended before `pause_if` judges an unfinished wave, by default. With two jobs, one
 * failure would already be half of them.
 */
const MIN_JOBS = 5;

/** Name of each condition of `pause_if` in messages. */
const WORDS: Record<TrippedCondition['condition'], string> = {
  unready_share: 'share of jobs that are not ready or have failed',
  metric_drop: 'mean drop of the metric',
  negative_flips: 'mean share of negative flips',
};

/**
 * Judges by the conditions of `pause_if` whether a wave must pause its rollout.
 * @param hasEnded whether all jobs of the wave have ended, so that there are no more figures to wait for
 * @returns the first violated condition; null if none is violated or too few jobs have ended
 */
export function judgeWave(pauseIf: PauseIf, figures: WaveFigures, hasEnded: boolean): TrippedCondition | null {
  const { ended, unready } = figures;
  if (ended === 0 || (!hasEnded && ended < (pauseIf.min_jobs ?? MIN_JOBS))) return null;
  const found = { ...figures, unready_share: unready / ended };
  for (const condition of ['unready_share', 'metric_drop', 'negative_flips'] as const) {
    const [limit, value] = [pauseIf[condition], found[condition]];
    if (limit !== undefined && value !== null && value > limit) return { condition, value, limit };
  }
  return null;
}

/** Writes the message that says which condition has paused a rollout, and what can be done. */
export function describeTripped({ condition, value, limit }: TrippedCondition, wave: number, ended: number): string {
  const round = (number: number) => Number(number.toPrecision(4));
  return (
    `wave ${wave}: the ${WORDS[condition]} is ${round(value)} after ${ended} jobs, more than ${limit}; ` +
    'resume the rollout to go on all the same, cancel some of its jobs before that, or cancel it'
  );
}

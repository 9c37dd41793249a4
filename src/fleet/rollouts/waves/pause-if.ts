import type { PauseIf } from '../policy.schemas.ts';

/** Figures of a wave's jobs so far. A mean is null if nothing was measured. */
export interface WaveFigures {
  /** Number of adaptations that have ended and were not cancelled. */
  readonly ended: number;
  /** Number of ended adaptations that are not ready or have failed. */
  readonly unready: number;
  /** Mean drop of the gate metric from the previous versions to the published ones. */
  readonly metric_drop: number | null;
  readonly negative_flips: number | null;
}

/** Condition of `pause_if` that a wave has exceeded. */
export interface TrippedCondition {
  readonly condition: 'unready_share' | 'metric_drop' | 'negative_flips';
  readonly value: number;
  readonly limit: number;
}

/** Default number of ended jobs before a wave is judged. With two jobs, one failure would already be half of them. */
const MIN_JOBS = 5;

/** Description of each condition, for messages. */
const WORDS: Record<TrippedCondition['condition'], string> = {
  unready_share: 'share of jobs that are not ready or have failed',
  metric_drop: 'mean drop of the metric',
  negative_flips: 'mean share of negative flips',
};

/**
 * Judges a wave.
 * @param hasEnded whether all its jobs have ended, so that waiting for more figures is pointless
 * @returns the first condition exceeded; null if none is
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

/** Message with the reason for a pause. */
export function describeTripped({ condition, value, limit }: TrippedCondition, wave: number, ended: number): string {
  const round = (number: number) => Number(number.toPrecision(4));
  return (
    `wave ${wave}: the ${WORDS[condition]} is ${round(value)} after ${ended} jobs, more than ${limit}; ` +
    'resume the rollout to go on all the same, cancel some of its jobs before that, or cancel it'
  );
}

/** Priorities of rollouts by their policy: all jobs of a `high` one come before those of a `normal` one. */
export const PRIORITIES = ['high', 'normal', 'low'] as const;

/**
 * Number of start tags of each of them. The queue has 2 ** 21 priorities, so that this leaves as many for what comes
 * after all adaptations. A tenant that has more jobs waiting than its weight times this gets the rest of them in the
 * order in which they came.
 */
export const TAGS = 2 ** 19;

/** First priority after all adaptations: entries that only reports need come there, so that they delay no tenant. */
const AFTER_ALL = PRIORITIES.length * TAGS;
export const BASELINES_PRIORITY = AFTER_ALL + 1;
export const CONTROL_PRIORITY = AFTER_ALL + 2;
export const OUTCOMES_PRIORITY = AFTER_ALL + 3;

/**
 * The priority in the queue of a job with this start tag. Lower ones run first, and those with the same in the order in
 * which they came.
 */
export function priorityOf(startTag: number): number {
  return 1 + Math.min(AFTER_ALL - 1, Math.floor(startTag));
}

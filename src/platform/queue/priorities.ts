/**
 * What a policy says about the order of rollouts: all jobs of one that is `high` come before those of one that is
 * `normal`.
 */
export const PRIORITIES = ['high', 'normal', 'low'] as const;

/**
 * Number of start tags of each of them. The queue has 2 ** 21 priorities, so that this leaves as many for what comes
 * after all adaptations. A tenant that has more jobs waiting than its weight times this gets the rest of them in the
 * order in which they came.
 */
export const TAGS = 2 ** 19;

/** What comes after all adaptations: what only reports need, so that it never delays a tenant. */
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

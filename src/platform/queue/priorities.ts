/** Priorities of rollouts by their policy: all jobs of a `high` one come before those of a `normal` one. */
export const PRIORITIES = ['high', 'normal', 'low'] as const;

/**
 * Number of start tags of each priority of a policy. The queue has 2 ** 21 priorities, which leaves as many again for
 * jobs after all adaptations. Of a tenant with more waiting jobs than its weight times this, the rest run in the order
 * in which they came.
 */
export const TAGS = 2 ** 19;

/** Last queue priority of adaptations. Jobs that only reports need come after it, so that they delay no tenant. */
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

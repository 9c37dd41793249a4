/** Priorities that a policy can give a rollout: all jobs of a `high` rollout come before those of a `normal` one. */
export const PRIORITIES = ['high', 'normal', 'low'] as const;

/**
 * Number of different start tags that the queue can tell apart among the jobs of one priority of a policy. The queue
 * has 2 ** 21 priorities, so another 2 ** 19 are left for entries that run after all adaptations. If a tenant has more
 * waiting jobs than its weight times this number, the remaining jobs run in the order in which they came.
 */
export const TAGS = 2 ** 19;

/** Last queue priority of adaptations. Entries that only reports need come after it, so that they delay no tenant. */
const AFTER_ALL = PRIORITIES.length * TAGS;
export const BASELINES_PRIORITY = AFTER_ALL + 1;
export const CONTROL_PRIORITY = AFTER_ALL + 2;
export const OUTCOMES_PRIORITY = AFTER_ALL + 3;

/**
 * Computes the queue priority of a job from its start tag. Lower priorities run first, and equal ones in the order in
 * which they came.
 */
export function priorityOf(startTag: number): number {
  return 1 + Math.min(AFTER_ALL - 1, Math.floor(startTag));
}

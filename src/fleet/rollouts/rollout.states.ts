import type { RolloutState } from '../../platform/database/generated/prisma/enums.ts';

export type { RolloutState };

/**
 * States of a rollout whose jobs are not all planned. A queue entry should then exist by which a worker analyzes and
 * plans the rollout.
 */
export const UNPLANNED_ROLLOUT_STATES = ['planning', 'analyzing'] as const satisfies RolloutState[];
/** States of a rollout that has not ended. It may be paused, and can then be resumed. */
export const LIVE_ROLLOUT_STATES = [
  ...UNPLANNED_ROLLOUT_STATES,
  'adapting',
  'paused',
] as const satisfies RolloutState[];
/** States in which a rollout ends before all of its jobs have. The unfinished jobs are then cancelled. */
export const STOPPED_ROLLOUT_STATES = ['failed', 'cancelled'] as const satisfies RolloutState[];
export const TERMINAL_ROLLOUT_STATES = ['completed', 'failed', 'cancelled'] as const satisfies RolloutState[];
export const ROLLOUT_STATES = [...LIVE_ROLLOUT_STATES, ...TERMINAL_ROLLOUT_STATES] as const;

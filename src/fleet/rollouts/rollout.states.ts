import type { RolloutState } from '../../platform/database/generated/prisma/enums.ts';

export type { RolloutState };

/** States in which the analysis is not finished, so that the queue ought to hold its job. */
export const UNPLANNED_ROLLOUT_STATES = ['planning', 'analyzing'] as const satisfies RolloutState[];
/** States that do not end a rollout. A paused one goes on when it is resumed. */
export const LIVE_ROLLOUT_STATES = [
  ...UNPLANNED_ROLLOUT_STATES,
  'adapting',
  'paused',
] as const satisfies RolloutState[];
/** States that end a rollout whatever its jobs do, so that those that have not ended are cancelled. */
export const STOPPED_ROLLOUT_STATES = ['failed', 'cancelled'] as const satisfies RolloutState[];
export const TERMINAL_ROLLOUT_STATES = ['completed', 'failed', 'cancelled'] as const satisfies RolloutState[];
export const ROLLOUT_STATES = [...LIVE_ROLLOUT_STATES, ...TERMINAL_ROLLOUT_STATES] as const;

import type { RolloutState } from '../../generated/prisma/enums.ts';

export type { RolloutState };

/** States in which the analysis is not finished, so that the queue ought to hold its job. */
export const UNPLANNED_STATES = ['planning', 'analyzing'] as const satisfies RolloutState[];
/** States from which a rollout goes on. */
export const LIVE_STATES = [...UNPLANNED_STATES, 'adapting'] as const satisfies RolloutState[];
export const TERMINAL_STATES = ['completed', 'failed', 'cancelled'] as const satisfies RolloutState[];
export const ROLLOUT_STATES = [...LIVE_STATES, ...TERMINAL_STATES] as const;

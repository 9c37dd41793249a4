import type { JobPhase, JobState } from '../../generated/prisma/enums.ts';

export type { JobPhase, JobState };

/** States in which a worker holds the job or has died while it held it. */
export const RUNNING_JOB_STATES = ['preparing', 'initializing', 'fine_tuning', 'evaluating'] as const;
export const TERMINAL_JOB_STATES = ['ready', 'not_ready', 'failed', 'cancelled'] as const;
export const JOB_STATES = ['queued', ...RUNNING_JOB_STATES, ...TERMINAL_JOB_STATES] as const;

/** The states that can follow each state. A `ready` job may still be refined, but it stays ready. */
export const JOB_TRANSITIONS: Readonly<Record<JobState, readonly JobState[]>> = {
  queued: ['preparing', 'failed', 'cancelled'],
  preparing: JOB_STATES,
  initializing: JOB_STATES,
  fine_tuning: JOB_STATES,
  evaluating: JOB_STATES,
  ready: [],
  not_ready: [],
  failed: [],
  cancelled: [],
};

/** The states that `next` can follow. */
export function sourcesOf(next: JobState): JobState[] {
  return JOB_STATES.filter((state) => JOB_TRANSITIONS[state].includes(next));
}

const STATE_OF_PHASE: Readonly<Record<JobPhase, JobState>> = {
  queue_wait: 'queued',
  prepare: 'preparing',
  evolution: 'preparing',
  initialize: 'initializing',
  fine_tune: 'fine_tuning',
  evaluate: 'evaluating',
  publish: 'evaluating',
};

/** The state of a job whose clock runs on the phase. */
export function stateOfPhase(phase: JobPhase): JobState {
  return STATE_OF_PHASE[phase];
}

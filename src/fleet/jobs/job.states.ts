import { PHASES } from '../../../core/options/phases.ts';
import type { JobPhase, JobState } from '../../platform/database/generated/prisma/enums.ts';

export type { JobPhase, JobState };

/**
 * Phases on which a job's clock can run: the phases of work, the wait in the queue, and the time in which a person or a
 * policy holds the job.
 */
export const JOB_PHASES = ['queue_wait', 'held', ...PHASES.filter((phase) => phase !== 'queue_wait')] as const;

/** States of a job that a worker has claimed. The worker works on the job, or has died meanwhile. */
export const RUNNING_JOB_STATES = ['preparing', 'initializing', 'fine_tuning', 'evaluating'] as const;
export const TERMINAL_JOB_STATES = ['ready', 'not_ready', 'failed', 'cancelled'] as const;
/**
 * States of a job that no worker may claim: held by its wave, a missing approval or another job, or paused until it is
 * resumed.
 */
export const HELD_JOB_STATES = ['held', 'paused'] as const;
export const JOB_STATES = ['queued', ...HELD_JOB_STATES, ...RUNNING_JOB_STATES, ...TERMINAL_JOB_STATES] as const;

/**
 * States of a job that can follow each state. A `ready` job may still be refined, but it stays ready. Out of a final
 * state leads only a retry, by which the job begins anew.
 */
export const JOB_TRANSITIONS: Readonly<Record<JobState, readonly JobState[]>> = {
  queued: ['preparing', 'paused', 'failed', 'cancelled'],
  held: ['queued', 'paused', 'cancelled'],
  paused: ['queued', 'held', 'cancelled'],
  preparing: JOB_STATES,
  initializing: JOB_STATES,
  fine_tuning: JOB_STATES,
  evaluating: JOB_STATES,
  ready: [],
  not_ready: [],
  failed: [],
  cancelled: [],
};

/** Lists the states from which a job can move to the state `next`. */
export function statesBefore(next: JobState): JobState[] {
  return JOB_STATES.filter((state) => JOB_TRANSITIONS[state].includes(next));
}

const STATE_OF_PHASE: Readonly<Record<JobPhase, JobState>> = {
  queue_wait: 'queued',
  held: 'paused',
  prepare: 'preparing',
  evolution: 'preparing',
  initialize: 'initializing',
  fine_tune: 'fine_tuning',
  evaluate: 'evaluating',
  publish: 'evaluating',
};

/** Determines the state of a job from the phase on which its clock runs. */
export function stateOfPhase(phase: JobPhase): JobState {
  return STATE_OF_PHASE[phase];
}

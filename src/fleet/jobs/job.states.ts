import { PHASES } from '../../../core/options/phases.ts';
import type { JobPhase, JobState } from '../../platform/database/generated/prisma/enums.ts';

export type { JobPhase, JobState };

/** Phases that a job's clock can run on: the phases of work, and the time held back by a person or a policy. */
export const JOB_PHASES = ['queue_wait', 'held', ...PHASES.filter((phase) => phase !== 'queue_wait')] as const;

/** States in which a worker holds the job or has died while it held it. */
export const RUNNING_JOB_STATES = ['preparing', 'initializing', 'fine_tuning', 'evaluating'] as const;
export const TERMINAL_JOB_STATES = ['ready', 'not_ready', 'failed', 'cancelled'] as const;
/**
 * States in which a job is deliberately held: until its wave is released, or until it is resumed. No worker claims it.
 */
export const HELD_JOB_STATES = ['held', 'paused'] as const;
export const JOB_STATES = ['queued', ...HELD_JOB_STATES, ...RUNNING_JOB_STATES, ...TERMINAL_JOB_STATES] as const;

/**
 * States that can follow each state. A `ready` job may still be refined, but it stays ready. Only a retry, which begins
 * the job anew, leads out of an end state.
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

/** States from which a job can move to `next`. */
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

/** State of a job whose clock runs on the phase. */
export function stateOfPhase(phase: JobPhase): JobState {
  return STATE_OF_PHASE[phase];
}

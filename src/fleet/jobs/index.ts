export { inState, REFINING, RETURNED, type ChangedJob } from './changed-job.ts';
export { cancelJobs, unfinishedOf } from './job-cancellation.ts';
export type { JobOwner } from './job-cancellation.repository.ts';
export { ACCRUE, ACCRUE_AS_HELD, ACCRUE_AS_WAIT, CLOCK, HELD_SO_FAR, TOTAL } from './job-clock.ts';
export { toBaselinesEntry, toEntry, type LiveJob } from './job-entries.ts';
export { recordJobChange, recordJobChanges } from './job-events.ts';
export { Job, JobParams, JobPhaseName, JobStateName } from './job.schemas.ts';
export { createJobService, type JobService } from './job.service.ts';
export {
  JOB_PHASES,
  JOB_TRANSITIONS,
  RUNNING_JOB_STATES,
  statesBefore,
  stateOfPhase,
  type JobPhase,
  type JobState,
} from './job.states.ts';
export { MAX_LEARNING_RATE, OwnOptions } from './own-options.schemas.ts';

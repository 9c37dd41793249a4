export {
  advancePhase,
  cancelJobs,
  createJobLifecycle,
  JobEndedError,
  LeaseLostError,
  settleRollout,
  type JobEnd,
  type JobLifecycle,
} from './job-lifecycle.ts';
export type { CandidateColumns, ChangedJob, JobProgress, Lease } from './job-lifecycle.repository.ts';
export { createJobRepository, type PlannedJob } from './job.repository.ts';
export { Job } from './job.schemas.ts';
export { createJobService, jobRecoverySource, toEntry } from './job.service.ts';
export { JOB_STATES, JOB_TRANSITIONS, TERMINAL_STATES, type JobPhase, type JobState } from './job.states.ts';

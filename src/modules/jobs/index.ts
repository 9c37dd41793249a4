export { cancelJobsOf } from './cancel-jobs-of.ts';
export { MAX_LEARNING_RATE } from './control/retry.schemas.ts';
export { RolloutPolicy } from './control/policy.schemas.ts';
export { approveWave, markRolloutPaused, type PausedReason } from './control/waves.ts';
export { wavesRepository } from './control/waves.repository.ts';
export { pauseJobs, resumeJobs } from './control/pause.ts';
export { pauseRepository } from './control/pause.repository.ts';
export { HELD_SO_FAR, TOTAL } from './job-clock.ts';
export { toEntry } from './job-entries.ts';
export {
  advancePhase,
  cancelJobs,
  createJobLifecycle,
  JobEndedError,
  JobPausedError,
  LeaseLostError,
  settleRollout,
  type JobEnd,
  type JobLifecycle,
} from './job-lifecycle.ts';
export type { CandidateColumns, ChangedJob, JobProgress, Lease } from './job-lifecycle.repository.ts';
export { createJobRepository, waveRank, type PlannedJob } from './job.repository.ts';
export { createJobService, type JobService, jobRecoverySource } from './job.service.ts';
export { JOB_PHASES, JOB_TRANSITIONS, TERMINAL_JOB_STATES, type JobPhase } from './job.states.ts';

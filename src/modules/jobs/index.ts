export { cancelJobsOf } from './cancel-jobs-of.ts';
export { RolloutPolicy } from './control/policy.schemas.ts';
export { approveWave, markRolloutPaused, type PausedReason } from './control/waves.ts';
export { limitsRepository } from './control/limits.repository.ts';
export { wavesRepository } from './control/waves.repository.ts';
export { exchangeRepository, type BasePair } from './order/exchange.repository.ts';
export { admissionRepository } from './order/admission.repository.ts';
export { pauseJobs, resumeJobs } from './control/pause.ts';
export { pauseRepository } from './control/pause.repository.ts';
export { lockStartTags, queueJobs } from './order/admission.ts';
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
export { JOB_TRANSITIONS, TERMINAL_JOB_STATES } from './job.states.ts';

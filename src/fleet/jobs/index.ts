export { JobPhaseName } from './job.schemas.ts';
export { cancelJobsOf } from './cancel-jobs-of.ts';
export { MAX_LEARNING_RATE } from './control/retry/retry.schemas.ts';
export { RolloutPolicy, withoutAddress } from './control/policy.schemas.ts';
export { approveWave, markRolloutPaused, type PausedReason } from './control/waves.ts';
export { limitsRepository } from './control/limits.repository.ts';
export { wavesRepository } from './control/waves.repository.ts';
export { exchangeRepository, type BasePair } from './order/exchange.repository.ts';
export { admissionRepository } from './order/admission.repository.ts';
export { pauseJobs, resumeJobs } from './control/pause.ts';
export { pauseRepository } from './control/pause.repository.ts';
export { lockStartTags, queueJobs } from './order/admission.ts';
export { HELD_SO_FAR, TOTAL } from './job-clock.ts';
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
  type JobObserver,
} from './job-lifecycle.ts';
export {
  WANTS_PROVISIONAL,
  type CandidateColumns,
  type ChangedJob,
  type JobProgress,
  type Lease,
} from './job-lifecycle.repository.ts';
export { createJobRepository, waveRank, type PlannedJob } from './job.repository.ts';
export { createJobService, type JobService, jobRecoverySource } from './job.service.ts';
export { releaseJobs, supersedeJobs, type Superseded } from './succession/succession.ts';
export {
  endsWhenTaken,
  jobSuccessionRepository,
  type JobWait,
  type RunningJobs,
} from './succession/succession.repository.ts';
export { JOB_PHASES, JOB_TRANSITIONS, type JobPhase } from './job.states.ts';

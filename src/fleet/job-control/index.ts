export { cancelJobsOf } from './cancel-jobs-of.ts';
export {
  createJobLifecycle,
  JobEndedError,
  JobPausedError,
  LeaseLostError,
  type JobEnd,
  type JobLifecycle,
  type JobObserver,
} from './job-lifecycle.ts';
export type { CandidateColumns, JobProgress, JobLease } from './job-lifecycle.repository.ts';

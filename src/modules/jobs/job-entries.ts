import type { JobEntry } from '../../jobs/catalog.ts';
import type { LiveJob } from './job.repository.ts';

/** Controls, and what only reports need, run after all adaptations, so that they never delay a tenant. */
const BASELINES_PRIORITY = 5;
const CONTROL_PRIORITY = 10;

/** The queue entry of a job. */
export function toEntry(job: Pick<LiveJob, 'id' | 'kind'>): JobEntry {
  const priority = job.kind === 'control' ? { priority: CONTROL_PRIORITY } : {};
  return { name: 'adaptation.run', id: job.id, payload: { jobId: job.id }, ...priority };
}

/** The queue entry that measures the pending baselines of a job that has ended. */
export function toBaselinesEntry(jobId: string): JobEntry {
  return { name: 'baselines.measure', id: `${jobId}-baselines`, payload: { jobId }, priority: BASELINES_PRIORITY };
}

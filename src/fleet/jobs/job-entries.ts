import type { QueueEntry } from '../../platform/queue/catalog.ts';
import { BASELINES_PRIORITY, CONTROL_PRIORITY, priorityOf } from '../../platform/queue/priorities.ts';

/** A job that has an entry in the queue, or should have one. */
export interface LiveJob {
  id: string;
  kind: 'adaptation' | 'control';
  /** Place in the fair order; null for controls. */
  start_tag: number | null;
  /** Whether the job itself has ended and only its baselines are left to measure. */
  ended: boolean;
}

/** Queue entry of a job. Adaptations without a start tag, whose adapters are already ready, come first. */
export function toEntry({ id, kind, start_tag: startTag }: Omit<LiveJob, 'ended'>): QueueEntry {
  const priority = kind === 'control' ? CONTROL_PRIORITY : startTag === null ? undefined : priorityOf(startTag);
  return { name: 'adaptation.run', id, payload: { jobId: id }, ...(priority !== undefined && { priority }) };
}

/** Queue entry that measures the pending baselines of a job that has ended. */
export function toBaselinesEntry(jobId: string): QueueEntry {
  return { name: 'baselines.measure', id: `${jobId}-baselines`, payload: { jobId }, priority: BASELINES_PRIORITY };
}

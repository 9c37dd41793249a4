import type { QueueEntry } from '../../platform/queue/catalog.ts';
import { BASELINES_PRIORITY, CONTROL_PRIORITY, priorityOf } from '../../platform/queue/priorities.ts';

/** Job that should have an entry in the queue. */
export interface LiveJob {
  id: string;
  kind: 'adaptation' | 'control';
  /** Place of the job in the fair order of the queue; null for controls. */
  start_tag: number | null;
  /**
   * Whether the job has ended, and is in the queue only because its baselines are still to be measured. Baselines are
   * figures that only reports need.
   */
  ended: boolean;
}

/**
 * Makes the queue entry of a job. Adaptations without a start tag come first: their adapters are ready already, and are
 * only refined.
 */
export function toEntry({ id, kind, start_tag: startTag }: Omit<LiveJob, 'ended'>): QueueEntry {
  const priority = kind === 'control' ? CONTROL_PRIORITY : startTag === null ? undefined : priorityOf(startTag);
  return { name: 'adaptation.run', id, payload: { jobId: id }, ...(priority !== undefined && { priority }) };
}

/**
 * Makes the queue entry by which a worker measures the pending baselines of an ended job. Baselines are figures that
 * only reports need.
 */
export function toBaselinesEntry(jobId: string): QueueEntry {
  return { name: 'baselines.measure', id: `${jobId}-baselines`, payload: { jobId }, priority: BASELINES_PRIORITY };
}

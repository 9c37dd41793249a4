import type { QueueEntry } from '../../../platform/queue/catalog.ts';
import type { Transaction } from '../../../platform/database/database.ts';
import { type ChangedJob, recordJobChanges } from '../../jobs/index.ts';
import { inOrder, lockStartTags, queueJobs } from '../order/admission.ts';
import { pauseRepository as repository, type JobsToHold } from './pause-jobs.repository.ts';

/**
 * Pauses given jobs, or a batch of jobs of a rollout, and records the events. The rollout's row must be locked. After
 * the commit the caller removes those that were queued from the queue.
 */
export async function pauseJobs(tx: Transaction, which: JobsToHold): Promise<ChangedJob[]> {
  const jobs = await repository.pause(tx, which);
  await recordJobChanges(tx, jobs);
  return jobs;
}

/**
 * Resumes given jobs, or a batch of jobs that were paused with their rollout. The rollout's row must be locked. After
 * the commit the caller enqueues `entries`.
 */
export async function resumeJobs(
  tx: Transaction,
  which: JobsToHold,
): Promise<{ jobs: ChangedJob[]; entries: QueueEntry[] }> {
  await lockStartTags(tx);
  const jobs = inOrder(await repository.resume(tx, which));
  await recordJobChanges(tx, jobs);
  return { jobs, entries: await queueJobs(tx, which.rolloutId, jobs) };
}

/**
 * Queries of the repository that other rooms use: whether a job waits in the queue, and keeping jobs paused when their
 * rollout is resumed.
 */
export const { isWaiting, keepPaused } = repository;

import type { QueueEntry } from '../../../platform/queue/catalog.ts';
import type { Transaction } from '../../../platform/database/database.ts';
import { type ChangedJob, recordJobChanges } from '../../jobs/index.ts';
import { inOrder, lockStartTags, queueJobs } from '../order/admission.ts';
import { pauseRepository as repository, type JobsToHold } from './pause-jobs.repository.ts';

/**
 * Pauses given jobs, or the next batch of jobs of a paused rollout, and records the events. The rollout's row must be
 * locked. After the commit the caller has to remove the queue entries of the paused jobs that were queued.
 */
export async function pauseJobs(tx: Transaction, which: JobsToHold): Promise<ChangedJob[]> {
  const jobs = await repository.pause(tx, which);
  await recordJobChanges(tx, jobs);
  return jobs;
}

/**
 * Resumes given jobs, or the next batch of jobs that were paused with their rollout or held by a wave that is now
 * released. The rollout's row must be locked. After the commit the caller has to enqueue `entries`.
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
 * Queries that other parts of the service use: whether a job waits in the queue for a worker, and the mark that keeps
 * jobs paused when their rollout is resumed.
 */
export const { isWaiting, keepPaused } = repository;

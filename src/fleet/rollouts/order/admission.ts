import type { QueueEntry } from '../../../platform/queue/catalog.ts';
import { writeOutbox } from '../../../platform/queue/outbox.repository.ts';
import type { Transaction } from '../../../platform/database/database.ts';
import { toEntry, type ChangedJob, type JobState } from '../../jobs/index.ts';
import { admissionRepository as repository } from './admission.repository.ts';

/**
 * Admits the next waiting jobs of a rollout to the queue, as many as its limit of concurrency allows. Does nothing for
 * a rollout of unlimited concurrency. The rollout's row must be locked.
 * @returns the queue entries to add after the commit; they are already in the outbox
 */
export async function admitJobs(tx: Transaction, rolloutId: string): Promise<QueueEntry[]> {
  if (!(await repository.lockLimited(tx, rolloutId))) return [];
  const entries = (await repository.admit(tx, rolloutId)).map(toEntry);
  await writeOutbox(tx, entries);
  return entries;
}

/**
 * Queues newly planned or resumed jobs of a rollout, except those that are held or have ended. In a rollout of limited
 * concurrency, jobs that wait to be admitted are left out, and the next ones are admitted. The rollout's row must be
 * locked.
 * @returns the queue entries to add after the commit; they are already in the outbox
 */
export async function queueJobs(
  tx: Transaction,
  rolloutId: string,
  jobs: readonly JobToQueue[],
): Promise<QueueEntry[]> {
  const entries = inOrder(jobs)
    .filter(({ state, admission }) => TO_QUEUE.has(state) && admission !== 'waiting')
    .map(toEntry);
  await writeOutbox(tx, entries);
  return [...entries, ...(await admitJobs(tx, rolloutId))];
}

/** Sorts jobs by identifier. This is the order in which they were planned. */
export function inOrder<T extends { readonly id: string }>(jobs: readonly T[]): T[] {
  return [...jobs].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** States in which a job belongs in the queue. A `ready` job belongs there because it is refined further. */
const TO_QUEUE: ReadonlySet<JobState> = new Set(['queued', 'ready']);

type JobToQueue = Pick<ChangedJob, 'id' | 'kind' | 'state' | 'start_tag' | 'admission'>;

export const { lockStartTags } = repository;

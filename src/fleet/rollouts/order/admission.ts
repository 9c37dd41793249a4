import type { QueueEntry } from '../../../platform/queue/catalog.ts';
import { writeOutbox } from '../../../platform/queue/outbox.repository.ts';
import type { Transaction } from '../../../platform/database/database.ts';
import { toEntry, type ChangedJob, type JobState } from '../../jobs/index.ts';
import { admissionRepository as repository } from './admission.repository.ts';

/**
 * Queues the next waiting jobs of a rollout of limited concurrency, as many as there is room for. Does nothing for
 * other rollouts. The rollout's row must be locked.
 * @returns queue jobs, already in the outbox, to enqueue after the commit
 */
export async function admitJobs(tx: Transaction, rolloutId: string): Promise<QueueEntry[]> {
  if (!(await repository.lockLimited(tx, rolloutId))) return [];
  const entries = (await repository.admit(tx, rolloutId)).map(toEntry);
  await writeOutbox(tx, entries);
  return entries;
}

/**
 * Queues newly planned or resumed jobs of a rollout, except those that are held or have ended. With limited concurrency
 * they wait to be admitted, and the next ones are admitted. The rollout's row must be locked.
 * @returns queue jobs to enqueue, like {@link admitJobs}
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

/** Sorts jobs by identifier, which is the order of planning. */
export function inOrder<T extends { readonly id: string }>(jobs: readonly T[]): T[] {
  return [...jobs].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** States in which a job belongs in the queue: a ready job is still refined. */
const TO_QUEUE: ReadonlySet<JobState> = new Set(['queued', 'ready']);

type JobToQueue = Pick<ChangedJob, 'id' | 'kind' | 'state' | 'start_tag' | 'admission'>;

export const { lockStartTags } = repository;

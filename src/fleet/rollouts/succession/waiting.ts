import type { QueueProducer } from '../../../platform/queue/producer.ts';
import type { QueueEntry } from '../../../platform/queue/catalog.ts';
import { withTransaction, type Database, type Transaction } from '../../../platform/database/database.ts';
import { jobSuccessionRepository as jobs } from './job-succession.repository.ts';
import { releaseJobs } from './job-succession.ts';
import { lockSuccession, settleOlder, takeAdapters } from './succession.ts';

/** Number of waiting jobs that one transaction releases. */
const BATCH = 1000;

interface WaitingDependencies {
  db: Database;
  producer: Pick<QueueProducer, 'enqueueAfterCommit' | 'remove'>;
}

interface Batch {
  readonly entries: readonly QueueEntry[];
  /** Identifiers of jobs of older rollouts whose entries have to be removed from the queue. */
  readonly superseded: readonly string[];
  readonly isLast: boolean;
}

const NOTHING_LEFT: Batch = { entries: [], superseded: [], isLast: true };

/**
 * Releases the jobs that have waited for the given job, which has ended. If the process dies in between, or nobody
 * calls this function after a job has ended, the sweeper releases the waiting jobs later.
 */
export async function releaseAfter(deps: WaitingDependencies, jobId: string): Promise<void> {
  for (const { id } of await jobs.rolloutsWaitingFor(deps.db, jobId)) await releaseInBatches(deps, id);
}

/**
 * Releases, in all rollouts, the jobs that waited for jobs which have ended. If jobs still wait for a paused job of an
 * older rollout, the paused job is ended first.
 */
export async function releaseWaiting(deps: WaitingDependencies): Promise<void> {
  for (const { id } of await jobs.rolloutsToRelease(deps.db)) await releaseInBatches(deps, id);
}

async function releaseInBatches({ db, producer }: WaitingDependencies, id: string): Promise<void> {
  for (;;) {
    const { entries, superseded, isLast } = await withTransaction(db, (tx) => releaseBatch(tx, id));
    await producer.enqueueAfterCommit(entries);
    await producer.remove('adaptations', superseded);
    if (isLast) return;
  }
}

async function releaseBatch(tx: Transaction, id: string): Promise<Batch> {
  const succession = await lockSuccession(tx, id);
  const state = succession?.rollout.state;
  if (succession === null || (state !== 'analyzing' && state !== 'adapting')) return NOTHING_LEFT;
  // A paused job would otherwise block the jobs that wait for it until somebody resumes it.
  const stalled = await jobs.stalledAdapters(tx, id, BATCH);
  const taken = stalled.length > 0 ? await takeAdapters(tx, succession, stalled) : null;
  const admitted = taken === null ? [] : await settleOlder(tx, taken);
  const released = await releaseJobs(tx, id, BATCH);
  return {
    entries: [...admitted, ...released.entries],
    superseded: taken?.queued ?? [],
    isLast: released.jobs.length < BATCH && stalled.length < BATCH,
  };
}

import type { QueueEntry } from '../../../platform/queue/catalog.ts';
import type { RecoverySource } from '../../../platform/queue/sweeper.ts';
import type { Database } from '../../../platform/database/database.ts';
import { provisionalRepository as repository } from './provisional.repository.ts';

/** Makes the queue entry by which a worker makes the provisional version of a job's adapter. */
export function toProvisionEntry(jobId: string): QueueEntry {
  return { name: 'adaptation.provision', id: `${jobId}-provision`, payload: { jobId } };
}

/**
 * Creates the source by which the sweeper finds provisional versions that are still to be made, and adds missing queue
 * entries.
 */
export function provisionalRecoverySource(db: Database): RecoverySource {
  return {
    queue: 'adaptations',
    // Only the queue holds a lease here: if a worker stalls, the queue itself gives the entry to another one.
    expired: () => Promise.resolve([]),
    countLive: () => repository.count(db),
    live: async (after, limit) =>
      (await repository.live(db, after, limit)).map(({ id }) => ({ rowId: id, entry: toProvisionEntry(id) })),
  };
}

/** Queries by which a worker handles a request for a provisional version. */
export const {
  load: loadProvision,
  standing: standingOfProvision,
  begin: beginProvision,
  excuse: excuseProvision,
  end: endProvision,
} = repository;

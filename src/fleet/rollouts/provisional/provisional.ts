import type { JobEntry } from '../../../platform/queue/catalog.ts';
import type { RecoverySource } from '../../../platform/queue/sweeper.ts';
import type { Database } from '../../../platform/database/database.ts';
import { provisionalRepository as repository } from './provisional.repository.ts';

/** The queue entry that makes the provisional version of a job's adapter. */
export function toProvisionEntry(jobId: string): JobEntry {
  return { name: 'adaptation.provision', id: `${jobId}-provision`, payload: { jobId } };
}

/** What the sweeper needs to know about provisional versions that are still to be made. */
export function provisionalRecoverySource(db: Database): RecoverySource {
  return {
    queue: 'adaptations',
    // Only the queue leases the making of one: if it stalls, the queue itself gives it to another worker.
    expired: () => Promise.resolve([]),
    countLive: () => repository.count(db),
    live: async (after, limit) =>
      (await repository.live(db, after, limit)).map(({ id }) => ({ rowId: id, entry: toProvisionEntry(id) })),
  };
}

import type { Database } from '../../../platform/database/database.ts';
import type { RecoverySource } from '../../../platform/queue/sweeper.ts';
import { toBaselinesEntry, toEntry } from '../../jobs/index.ts';
import { recoveryRepository as repository } from './recovery.repository.ts';

/** Creates the source by which the sweeper finds jobs that should be in the queue, and adds missing entries. */
export function jobRecoverySource(db: Database): RecoverySource {
  return {
    queue: 'adaptations',
    expired: async (limit) => (await repository.expired(db, limit)).map(toEntry),
    countLive: () => repository.countLive(db),
    live: async (after, limit) =>
      (await repository.live(db, after, limit)).map((job) => ({
        rowId: job.id,
        entry: job.ended ? toBaselinesEntry(job.id) : toEntry(job),
      })),
  };
}

import type { Database } from '../../../platform/database/database.ts';
import { removeExpiredUploads } from '../../../fleet/base-uploads/index.ts';
import { recordEvent } from '../../../delivery/events/index.ts';
import type { HousekeepingTask } from '../housekeeper.ts';
import { exclusively } from '../housekeeping.repository.ts';

/** Largest number of uploads that one transaction removes. An upload may have 10,000 parts. */
const BATCH = 5;

/**
 * Creates the task that removes abandoned uploads of base models, and uploads whose files no version uses. Their parts
 * are then unreferenced artifacts: see artifact-collection.ts.
 */
export function uploadCollectionTask({ db }: { db: Database }): HousekeepingTask {
  return {
    name: 'collection of uploads',
    run: async (signal) => {
      let uploads = 0;
      while (!signal.aborted) {
        const removed = await exclusively(db, async (tx) => {
          const ids = await removeExpiredUploads(tx, BATCH);
          for (const subjectId of ids) {
            await recordEvent(tx, { tenantId: null, type: 'base_model_upload.expired', subjectId, data: {} });
          }
          return ids.length;
        });
        uploads += removed ?? 0;
        if (removed === null || removed < BATCH) break;
      }
      return { uploads };
    },
  };
}

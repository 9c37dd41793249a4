import type { QueueProducer } from '../../../platform/queue/producer.ts';
import type { Database } from '../../../platform/database/database.ts';
import { cancelJobsOf } from '../../../fleet/job-control/index.ts';
import type { HousekeepingTask } from '../housekeeper.ts';
import { exclusively } from '../housekeeping.repository.ts';
import { collectionRepository as repository, type Removal } from './collection.repository.ts';

/** Largest number of rows that one transaction removes. */
const BATCH = 1000;

/**
 * Runner of removals in batches. It stops for good when another process collects at the same time, or when the task is
 * aborted.
 */
interface Remover {
  isStopped(): boolean;
  /**
   * Repeats one removal, each batch in a transaction of its own, until no rows are left or the runner stops.
   * @returns the number of removed rows
   */
  all(removal: Removal): Promise<number>;
}

export interface CollectionOptions {
  db: Database;
  producer: Pick<QueueProducer, 'enqueueAfterCommit' | 'remove'>;
  /** Grace time: number of days after a deletion for which the data of the deleted resource is kept. */
  deletionGraceDays: number;
  batch?: number;
}

/**
 * Creates the task that removes the rows of resources that were deleted longer ago than the grace time, in batches that
 * each commit. It first marks the collection of an adapter or a tenant as begun; until then the deletion can be undone.
 * Rows that refer to others are removed first, so after a crash the rest is still marked as deleted, and the next round
 * continues. Files are removed once no row refers to them: see artifact-collection.ts.
 */
export function collectionTask(options: CollectionOptions): HousekeepingTask {
  const { db, producer, deletionGraceDays: days, batch = BATCH } = options;

  function createRemover(signal: AbortSignal): Remover {
    let stopped = false;
    return {
      isStopped: () => stopped || signal.aborted,
      async all(removal) {
        let count = 0;
        while (!stopped && !signal.aborted) {
          const removed = await exclusively(db, (tx) => removal(tx, batch));
          if (removed === null) stopped = true;
          count += removed ?? 0;
          if (removed === null || removed < batch) break;
        }
        return count;
      },
    };
  }

  /**
   * Cancels unfinished jobs of deleted adapters and tenants. The deletion missed them, because they were planned at the
   * same time.
   */
  async function cancelLeftOvers(): Promise<void> {
    const { adapterIds, tenantIds } = await repository.withUnfinishedJobs(db, batch);
    for (const adapterId of adapterIds) await cancelJobsOf({ db, producer }, { adapterId });
    for (const tenantId of tenantIds) await cancelJobsOf({ db, producer }, { tenantId });
  }

  async function removeTenants(remover: Remover): Promise<{ tenants: number; tenant_rows: number }> {
    const removed = { tenants: 0, tenant_rows: 0 };
    for (const id of await repository.dueTenants(db, days)) {
      if ((await exclusively(db, (tx) => repository.beginTenant(tx, id, days))) !== true) continue;
      for (const removal of await repository.ofTenant(db, id)) removed.tenant_rows += await remover.all(removal);
      if (remover.isStopped()) break;
      if (await exclusively(db, (tx) => repository.tenant(tx, id))) removed.tenants++;
    }
    return removed;
  }

  return {
    name: 'collection of what was deleted',
    run: async (signal) => {
      await cancelLeftOvers();
      const remover = createRemover(signal);
      const { all } = remover;
      await all((tx, limit) => repository.beginAdapters(tx, limit, days));
      return {
        versions: await all((tx, limit) => repository.versions(tx, limit, days)),
        metric_points: await all((tx, limit) => repository.metricPoints(tx, limit, 'adapters')),
        search_evaluations: await all((tx, limit) => repository.searchEvaluations(tx, limit, 'adapters')),
        jobs: await all((tx, limit) => repository.jobs(tx, limit, 'adapters')),
        versions_of_adapters: await all((tx, limit) => repository.versionsOfAdapters(tx, limit)),
        adapters: await all((tx, limit) => repository.adapters(tx, limit)),
        datasets: await all((tx, limit) => repository.datasets(tx, limit, days)),
        ...(await removeTenants(remover)),
      };
    },
  };
}

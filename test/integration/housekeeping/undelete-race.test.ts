import { afterAll, beforeAll, expect, test } from 'vitest';
import { collectionTask } from '../../../src/operations/housekeeping/collection/collection.ts';
import type { Database } from '../../../src/platform/database/database.ts';
import { AppError } from '../../../src/platform/contract/errors.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { createDeletionService } from '../../../src/tenants/deletion/deletion.service.ts';
import { createUndeleteService } from '../../../src/tenants/deletion/undelete.service.ts';
import { createFleet } from '../queue/fleet.ts';
import { createTestDatabase, type TestDatabase } from '../support/index.ts';

let database: TestDatabase;
let db: Database;
beforeAll(async () => {
  database = await createTestDatabase();
  db = database.db;
});
afterAll(() => database.close());

const producer = { enqueueAfterCommit: () => Promise.resolve(), remove: () => Promise.resolve() };

/** Creates a tenant with a dataset, and an adapter with two versions and an ended job. */
async function createOwner() {
  const fleet = await createFleet(db, { tenants: 1, adapters: 1 });
  const [tenantId, adapterId] = [fleet.tenants[0]!, fleet.adapters[0]!];
  const { id: rolloutId } = await db.rollout.create({
    data: { id: newId('rollout'), baseModelVersionId: fleet.newVersionId, options: {}, state: 'completed' },
  });
  const old = await db.adapterVersion.findFirstOrThrow({ where: { adapterId } });
  const jobId = newId('job');
  await db.job.create({
    data: {
      ...{ id: jobId, tenantId, rolloutId, adapterId, sourceVersionId: old.id, strategy: 'auto' },
      ...{ metricName: 'accuracy', state: 'ready', finishedAt: new Date() },
    },
  });
  const points = Array.from({ length: 3 }, (_, step) => ({ tenantId, jobId, name: 'loss', step, value: 1 }));
  await db.metricPoint.createMany({ data: points });
  await db.adapterVersion.create({
    data: {
      ...old,
      source: undefined,
      metrics: undefined,
      servedFeatures: undefined,
      id: newId('adapterVersion'),
      number: 2,
      jobId,
    },
  });
  const { id: datasetId } = await db.dataset.create({
    data: {
      ...{ id: newId('dataset'), tenantId, name: 'spare', rows: 1, bytes: 1n, splits: {} },
      artifactDigest: `sha256:${'0'.repeat(64)}`,
    },
  });
  await fleet.remove();
  return { tenantId, adapterId, datasetId, versionId: old.id };
}
type Owned = Awaited<ReturnType<typeof createOwner>>;

/** Number of the tenant's rows per table. */
async function rowsOf({ tenantId }: Owned) {
  const where = { tenantId };
  return {
    tenants: await db.tenant.count({ where: { id: tenantId } }),
    datasets: await db.dataset.count({ where }),
    adapters: await db.adapter.count({ where }),
    versions: await db.adapterVersion.count({ where }),
    jobs: await db.job.count({ where }),
    points: await db.metricPoint.count({ where }),
  };
}
type Rows = Awaited<ReturnType<typeof rowsOf>>;

const deletions = () => createDeletionService({ db, producer });
const undeletions = () => createUndeleteService({ db });

/** Kinds that are deleted and undeleted, with the tenant's remaining rows if the deletion wins. */
const KINDS: Record<
  string,
  { remove(of: Owned): Promise<void>; undelete(of: Owned): Promise<unknown>; gone: Partial<Rows> }
> = {
  dataset: {
    remove: ({ datasetId }) => deletions().deleteDataset(datasetId, null),
    undelete: ({ datasetId }) => undeletions().undeleteDataset(datasetId, null),
    gone: { datasets: 1 },
  },
  'adapter version': {
    remove: ({ adapterId, versionId }) => deletions().deleteVersion(adapterId, versionId, null),
    undelete: ({ adapterId, versionId }) => undeletions().undeleteVersion(adapterId, versionId, null),
    gone: { versions: 1 },
  },
  adapter: {
    remove: ({ adapterId }) => deletions().deleteAdapter(adapterId, null),
    undelete: ({ adapterId }) => undeletions().undeleteAdapter(adapterId, null),
    gone: { adapters: 0, versions: 0, jobs: 0, points: 0 },
  },
  tenant: {
    remove: ({ tenantId }) => deletions().deleteTenant(tenantId),
    undelete: ({ tenantId }) => undeletions().undeleteTenant(tenantId),
    gone: { tenants: 0, datasets: 0, adapters: 0, versions: 0, jobs: 0, points: 0 },
  },
};

/**
 * Collects everything that is deleted and calls `atQuery` at the query with the given number and at each one after it.
 * It waits for the result at the first query, when the collector holds no lock yet, and otherwise continues.
 */
async function collect(from = Infinity, atQuery: () => Promise<unknown> = () => Promise.resolve()): Promise<void> {
  let count = 0;
  const counted = db.$extends({
    query: {
      async $allOperations({ args, query }) {
        count++;
        const called = count >= from ? atQuery() : undefined;
        if (count === 1) await called;
        return query(args);
      },
    },
  }) as unknown as Database;
  await collectionTask({ db: counted, producer, deletionGraceDays: 0, batch: 1 }).run(new AbortController().signal);
}

const refusal = (error: unknown): string => (error instanceof AppError ? error.code : String(error));

/**
 * Collects while a request undeletes at the query with the given number, again at each later query for as long as it is
 * refused, and once more at the end. @returns the outcomes in the order of the requests
 */
async function race(from: number, undelete: () => Promise<unknown>): Promise<string[]> {
  const outcomes: string[] = [];
  let last = Promise.resolve();
  let isAsking = false;
  const ask = (): Promise<void> => {
    if (isAsking || outcomes.at(-1) === 'back') return last;
    isAsking = true;
    const asked = undelete().then(() => 'back', refusal);
    last = asked.then((outcome) => {
      outcomes.push(outcome);
      isAsking = false;
    });
    return last;
  };
  await collect(from, ask);
  await last;
  await ask();
  return outcomes;
}

test.each(Object.keys(KINDS))(
  'undeleting a %s while it is collected brings back everything or nothing',
  async (kind) => {
    const { remove, undelete, gone } = KINDS[kind]!;
    const seen = new Set<string>();
    // From the query at which it comes too late, it is asked at all later ones of the same collection.
    for (let at = 1, late = 0; late < 3; at += 2) {
      const owned = await createOwner();
      const before = await rowsOf(owned);
      await remove(owned);
      const outcomes = await race(at, () => undelete(owned));
      for (const outcome of outcomes) seen.add(outcome);
      if (outcomes[0] !== 'back') late++;
      // What was refused once is not brought back later.
      expect(new Set(outcomes.map((outcome) => outcome === 'back')).size, `${at}: ${outcomes}`).toBe(1);
      // The rest of it is collected too, or all of it stays.
      await collect();
      const expected = outcomes[0] === 'back' ? before : { ...before, ...gone };
      expect(await rowsOf(owned), `undeleted at query ${at}: ${outcomes}`).toEqual(expected);
    }
    expect(seen).toContain('back');
    expect(seen).toContain('not_found');
    for (const outcome of seen) expect(['back', 'not_found', 'grace_time_over']).toContain(outcome);
  },
);

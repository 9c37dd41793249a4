import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { withTransaction, type Database } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { insertAdapterVersion } from '../../../src/fleet/adapters/index.ts';
import {
  createRollout,
  createRolloutLifecycle,
  createRolloutService,
  type StoredOptions,
} from '../../../src/fleet/rollouts/index.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestQueue, type TestQueue } from '../queue/test-queue.ts';

let queue: TestQueue;
let db: Database;
let fleet: Fleet;

beforeAll(async () => {
  queue = await createTestQueue();
  db = queue.database.db;
});
beforeEach(async () => {
  fleet = await createFleet(db, { tenants: 1, adapters: 2 });
});
afterEach(() => fleet.remove());
afterAll(() => queue.close());

/** Starts and plans a rollout. @returns its identifier and the adapters it takes */
async function plan(baseModelVersionId: string): Promise<{ id: string; adapters: string[] }> {
  const { rollout } = await withTransaction(db, (tx) => createRollout(tx, { baseModelVersionId, options: {} }));
  const lifecycle = createRolloutLifecycle({ db });
  const { options } = (await lifecycle.beginAnalysis(rollout.id))!;
  await lifecycle.plan({ id: rollout.id, baseModelVersionId, options: options as StoredOptions }, new Map());
  const jobs = await db.job.findMany({ where: { rolloutId: rollout.id } });
  return { id: rollout.id, adapters: jobs.map((job) => job.adapterId).sort() };
}

async function addVersion(adapterId: string, baseModelVersionId: string, parentVersionId?: string): Promise<string> {
  const { tenantId, artifactDigest, rank, loraAlpha } = await db.adapterVersion.findFirstOrThrow();
  const origin = parentVersionId === undefined ? 'imported' : 'adapted';
  const id = newId('adapterVersion');
  const bytes = { artifactDigest, rank, loraAlpha };
  await withTransaction(db, (tx) =>
    insertAdapterVersion(tx, { id, tenantId, adapterId, baseModelVersionId, parentVersionId, origin, ...bytes }),
  );
  return id;
}

/** Publishes a version of each adapter and ends the rollout. */
async function carryOver(rolloutId: string, baseModelVersionId: string, adapters: readonly string[]): Promise<void> {
  for (const adapterId of adapters) {
    const { sourceVersionId } = await db.job.findFirstOrThrow({ where: { rolloutId, adapterId } });
    await addVersion(adapterId, baseModelVersionId, sourceVersionId!);
  }
  await createRolloutService({ db, producer: queue.producer }).cancel(rolloutId);
}

/** Adds an adapter on the old base, like a tenant's import. @returns its identifier */
async function joins(): Promise<string> {
  const {
    id: _,
    name: __,
    labels: ___,
    gate,
    ...like
  } = await db.adapter.findFirstOrThrow({ where: { id: fleet.adapters[0]! } });
  const id = newId('adapter');
  await db.adapter.create({ data: { ...like, id, name: id, gate: gate as object } });
  await addVersion(id, fleet.oldVersionId);
  return id;
}

test('an adapter that joined after the planning is taken by the next rollout, alone', async () => {
  const first = await plan(fleet.newVersionId);
  const late = await joins();
  await expect(plan(fleet.newVersionId)).rejects.toMatchObject({
    code: 'rollout_exists',
    message: expect.stringContaining('takes the adapters that have no version for it by then') as unknown,
  });
  await carryOver(first.id, fleet.newVersionId, first.adapters);
  expect((await plan(fleet.newVersionId)).adapters).toEqual([late]);
});

test('what has gone on to a newer base is not carried back', async () => {
  const first = await plan(fleet.newVersionId);
  await carryOver(first.id, fleet.newVersionId, first.adapters);
  const third = newId('baseModelVersion');
  const { baseModelId, folder: path } = fleet;
  await db.baseModelVersion.create({ data: { id: third, baseModelId, version: 'v3', path, servingName: 'v3' } });
  const second = await plan(third);
  expect(second.adapters).toEqual(first.adapters);
  await carryOver(second.id, third, second.adapters);
  const late = await joins();
  expect((await plan(fleet.newVersionId)).adapters).toEqual([late]);
});

test('an adapter that was not carried over, or was imported anew since, is taken again', async () => {
  const [carried, left] = fleet.adapters as [string, string];
  const first = await plan(fleet.newVersionId);
  await carryOver(first.id, fleet.newVersionId, [carried]);
  const second = await plan(fleet.newVersionId);
  expect(second.adapters).toEqual([left]);
  await carryOver(second.id, fleet.newVersionId, [left]);
  await addVersion(carried, fleet.oldVersionId);
  expect((await plan(fleet.newVersionId)).adapters).toEqual([carried]);
});

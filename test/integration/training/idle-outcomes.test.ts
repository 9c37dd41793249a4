import { afterAll, beforeAll, expect, test } from 'vitest';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { requestOutcomes } from '../../../src/fleet/outcomes/index.ts';
import { eventually } from '../../eventually.ts';
import { createTinyFleet, type TinyFleet } from './tiny-fleet.ts';

const GATE = { kind: 'relative', margin: 10 };

let fleet: TinyFleet;
beforeAll(async () => {
  fleet = await createTinyFleet({ adapters: 2 });
  await fleet.db.adapter.updateMany({ data: { gate: GATE } });
  await fleet.startWorker({ registrationMs: 100 });
});
afterAll(() => fleet.close());

test('what an idle worker has measured is what the job of the next rollout would have', async () => {
  const { db } = fleet;
  const [measured, other] = (await db.adapterVersion.findMany({ orderBy: { id: 'asc' } })).map(({ id }) => id);
  const outcomesOf = (id: string) => db.gateOutcomes.findUniqueOrThrow({ where: { adapterVersionId: id } });
  const { tenantId } = await db.adapterVersion.findUniqueOrThrow({ where: { id: measured! } });
  const task = { gate: GATE, datasetId: 'any' };
  await withTransaction(db, (tx) => requestOutcomes(tx, task, { tenantId, versionIds: [measured!] }));
  await eventually('it is measured', async () => (await db.outcomeRequest.count()) === 0);
  const ahead = await outcomesOf(measured!);
  const jobs = await fleet.roll({ strategy: 'reuse' });
  expect(jobs.map(({ state }) => state)).toEqual(['ready', 'ready']);
  for (const { metric } of jobs) expect(metric.old).toBe(ahead.value);
  // One adapter's job did not measure again; the other's had to, with the same result.
  expect(await outcomesOf(measured!)).toEqual(ahead);
  const { adapterVersionId: _, measuredAt: __, ...values } = ahead;
  expect(await outcomesOf(other!)).toMatchObject(values);
});

test('a rollout that this worker cannot run does not hold a measurement up', async () => {
  const { db } = fleet;
  const { path: folder } = await db.baseModelVersion.findUniqueOrThrow({ where: { id: fleet.newVersionId } });
  const { baseModelId } = await db.baseModelVersion.findUniqueOrThrow({ where: { id: fleet.newVersionId } });
  const id = newId('baseModelVersion');
  const path = `${folder}-elsewhere`;
  await db.baseModelVersion.create({ data: { id, baseModelId, version: 'elsewhere', path, servingName: path } });
  const rolloutId = await fleet.begin({ strategy: 'reuse' }, id);
  await eventually('the worker has left it to others', async () =>
    (await db.workerProcess.findFirstOrThrow()).unreadableBases.includes(id),
  );
  const [version] = await db.adapterVersion.findMany({ orderBy: { id: 'asc' } });
  await db.gateOutcomes.deleteMany({ where: { adapterVersionId: version!.id } });
  const task = { gate: GATE, datasetId: 'any' };
  const { tenantId } = version!;
  await withTransaction(db, (tx) => requestOutcomes(tx, task, { tenantId, versionIds: [version!.id] }));
  await eventually('it is measured', async () => (await db.outcomeRequest.count()) === 0);
  expect(await db.gateOutcomes.count({ where: { adapterVersionId: version!.id } })).toBe(1);
  expect((await db.rollout.findUniqueOrThrow({ where: { id: rolloutId } })).finishedAt).toBeNull();
});

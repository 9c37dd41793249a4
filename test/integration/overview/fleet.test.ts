import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '../../../src/platform/contract/ids.ts';
import type { Fleet as Counts } from '../../../src/operations/overview/fleet.schemas.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestApp, createTestKey, type TestApp } from '../support/index.ts';

let service: TestApp;
let fleet: Fleet;
let keys: string[];

beforeAll(async () => {
  service = await createTestApp();
  fleet = await createFleet(service.db, { tenants: 2, adapters: 6, of: [4, 2] });
  keys = await Promise.all(fleet.tenants.map((tenantId) => createTestKey(service.db, { tenantId })));
  const [first, second, third] = await service.db.adapter.findMany({
    where: { tenantId: fleet.tenants[0] },
    orderBy: { id: 'asc' },
  });
  // Two adapters of the first tenant are on the new version too, one provisionally; one adapter is no longer served
  // anywhere.
  await publish(first!.id, { provisional: false });
  await publish(second!.id, { provisional: true });
  await service.db.currentVersion.updateMany({ where: { adapterId: third!.id }, data: { adapterVersionId: null } });
});
afterAll(async () => {
  await fleet.remove();
  await service.close();
});

async function publish(adapterId: string, { provisional }: { provisional: boolean }): Promise<void> {
  const {
    artifactDigest,
    tenantId,
    id: parentVersionId,
  } = await service.db.adapterVersion.findFirstOrThrow({
    where: { adapterId },
  });
  const number = { number: 2, origin: 'adapted', rank: 4, loraAlpha: 8, provisional, superseded: provisional };
  await service.db.adapterVersion.create({
    data: {
      ...{ id: newId('adapterVersion'), adapterId, tenantId, parentVersionId, artifactDigest, ...number },
      baseModelVersionId: fleet.newVersionId,
    },
  });
}

async function get(key?: string): Promise<Counts> {
  const url = `/v1/base-models/${fleet.baseModelId}/fleet`;
  const answer = await service.request({ url, ...(key !== undefined && { key }) });
  expect(answer.statusCode, answer.body).toBe(200);
  return answer.json<Counts>();
}
const sharesOf = ({ versions }: Counts) =>
  versions.map(({ version, current, newest, provisional }) => [version, current, newest, provisional]);

test('counts the adapters on each version, so that the newest ones and the unserved add up', async () => {
  const counts = await get();
  expect(counts).toMatchObject({ base_model_id: fleet.baseModelId, adapters: 6, unserved: 1 });
  expect(sharesOf(counts)).toEqual([
    ['v2', 2, 2, 1],
    ['v1', 5, 3, 0],
  ]);
});

test('counts for a tenant its own', async () => {
  const own = await get(keys[0]);
  expect(own).toMatchObject({ adapters: 4, unserved: 1 });
  expect(sharesOf(own)).toEqual([
    ['v2', 2, 2, 1],
    ['v1', 3, 1, 0],
  ]);
  const other = await get(keys[1]);
  expect(other).toMatchObject({ adapters: 2, unserved: 0 });
  expect(sharesOf(other)).toEqual([
    ['v2', 0, 0, 0],
    ['v1', 2, 2, 0],
  ]);
});

test('an unknown base model is answered with 404', async () => {
  expect((await service.request({ url: '/v1/base-models/nothing/fleet' })).statusCode).toBe(404);
});

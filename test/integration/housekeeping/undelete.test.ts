import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { collectionTask } from '../../../src/operations/housekeeping/collection/collection.ts';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { insertAdapterVersion } from '../../../src/fleet/adapters/index.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestApp, createTestKey, createTestTenant, type TestApp } from '../support/index.ts';

let app: TestApp;
let fleet: Fleet;
let tenantId: string;
let adapterId: string;
let datasetId: string;
let key: string;

beforeAll(async () => {
  app = await createTestApp();
});
afterAll(() => app.close());
beforeEach(async () => {
  fleet = await createFleet(app.db, { tenants: 1, adapters: 2 });
  tenantId = fleet.tenants[0]!;
  adapterId = fleet.adapters[0]!;
  ({ id: datasetId } = await app.db.dataset.findFirstOrThrow({ where: { tenantId } }));
  key = await createTestKey(app.db, { tenantId });
});
afterEach(() => fleet.remove());

async function send(method: 'DELETE' | 'GET' | 'POST', url: string, as: string = key, payload?: object) {
  const response = await app.request({ method, url, key: as, ...(payload === undefined ? {} : { payload }) });
  return { status: response.statusCode, body: response.body === '' ? null : response.json() };
}
const remove = (url: string, as?: string) => send('DELETE', url, as);
const undelete = (url: string, as?: string) => send('POST', `${url}/undelete`, as);
const get = async (url: string, as?: string) => (await send('GET', url, as)).body;
const used = async () =>
  ((await get(`/v1/tenants/${tenantId}/quotas`)).quotas as { name: string; used: number }[]).map((quota) => quota.used);
const typesOf = async (subjectId: string) =>
  (await app.db.event.findMany({ where: { subjectId }, orderBy: { seq: 'asc' } })).map(({ type }) => type);

/** Removes deleted data, with a grace time in days. */
const collect = (days: number) =>
  collectionTask({ db: app.db, producer: app.deps.producer, deletionGraceDays: days }).run(
    new AbortController().signal,
  );

test('an adapter comes back with its name, its versions and its place in rollouts, as it was', async () => {
  const url = `/v1/adapters/${adapterId}`;
  const before = await get(url);
  const quota = await used();
  await remove(url);
  expect(await used(), 'what is deleted counts until it is collected').toEqual(quota);
  await collect(7);
  for (let times = 0; times < 2; times++) expect(await undelete(url)).toEqual({ status: 200, body: before });
  expect(await get(url)).toEqual(before);
  expect((await get(`${url}/versions`)).data).toHaveLength(1);
  expect(await used()).toEqual(quota);
  expect(await typesOf(adapterId)).toEqual(['adapter.deleted', 'adapter.undeleted']);
  await collect(0);
  expect(await get(url)).toEqual(before);
});

test('a version comes back, and does not become the latest one', async () => {
  const first = await app.db.adapterVersion.findFirstOrThrow({ where: { adapterId } });
  await withTransaction(app.db, (tx) =>
    insertAdapterVersion(tx, {
      ...{ id: newId('adapterVersion'), tenantId, adapterId, baseModelVersionId: fleet.oldVersionId },
      ...{ origin: 'imported', artifactDigest: first.artifactDigest, rank: 4, loraAlpha: 8 },
    }),
  );
  const url = `/v1/adapters/${adapterId}/versions/${first.id}`;
  const before = await get(url);
  expect((await remove(url)).status).toBe(204);
  for (let times = 0; times < 2; times++) expect(await undelete(url)).toEqual({ status: 200, body: before });
  expect((await get(`/v1/adapters/${adapterId}`)).latest_version.number).toBe(2);
  expect(await typesOf(first.id)).toEqual(['adapter_version.deleted', 'adapter_version.undeleted']);
  await remove(url);
  await remove(`/v1/adapters/${adapterId}`);
  expect(await undelete(url)).toMatchObject({ status: 404 });
  await undelete(`/v1/adapters/${adapterId}`);
  expect((await send('GET', url)).status, 'it was deleted before its adapter').toBe(404);
  expect((await undelete(url)).status).toBe(200);
});

test('a dataset comes back; an adapter needs its dataset first', async () => {
  const adapters = fleet.adapters.map((id) => `/v1/adapters/${id}`);
  const url = `/v1/datasets/${datasetId}`;
  const before = await get(url);
  for (const adapter of adapters) await remove(adapter);
  await remove(url);
  expect(await undelete(adapters[0]!)).toMatchObject({
    status: 409,
    body: { code: 'dataset_deleted', dataset_id: datasetId },
  });
  expect(await undelete(url)).toEqual({ status: 200, body: before });
  expect(await undelete(adapters[0]!)).toMatchObject({ status: 200, body: { dataset_id: datasetId } });
  expect(await typesOf(datasetId)).toEqual(['dataset.deleted', 'dataset.undeleted']);
});

test('an adapter whose dataset was collected comes back without one', async () => {
  for (const id of fleet.adapters) await remove(`/v1/adapters/${id}`);
  await remove(`/v1/datasets/${datasetId}`);
  await app.db.dataset.update({ where: { id: datasetId }, data: { deletedAt: new Date(0) } });
  expect(await collect(7)).toMatchObject({ datasets: 1, adapters: 0 });
  expect(await undelete(`/v1/datasets/${datasetId}`)).toMatchObject({ status: 404 });
  expect(await undelete(`/v1/adapters/${adapterId}`)).toMatchObject({ status: 200, body: { dataset_id: null } });
});

test('a tenant comes back with its keys and all that it has', async () => {
  const url = `/v1/tenants/${tenantId}`;
  const before = await get(url);
  const things = ['/v1/adapters', '/v1/datasets', '/v1/api-keys'];
  const had = await Promise.all(things.map((thing) => get(thing)));
  await remove(url, app.operatorKey);
  expect((await send('GET', '/v1/adapters')).status).toBe(401);
  expect((await undelete(`/v1/adapters/${adapterId}`, app.operatorKey)).status).toBe(404);
  await collect(7);
  for (let times = 0; times < 2; times++) {
    expect(await undelete(url, app.operatorKey)).toEqual({ status: 200, body: before });
  }
  const has = await Promise.all(things.map((thing) => get(thing)));
  const ids = (pages: { data: { id: string }[] }[]) => pages.map(({ data }) => data.map(({ id }) => id));
  expect(ids(has)).toEqual(ids(had));
  expect(await typesOf(tenantId)).toEqual(['tenant.deleted', 'tenant.undeleted']);
});

test('whose name is taken meanwhile is refused until it is free', async () => {
  const url = `/v1/adapters/${adapterId}`;
  const { name, base_model_id: baseModel } = await get(url);
  await remove(url);
  const gate = { kind: 'absolute', target: 0.8 };
  const body = { name, base_model: baseModel, dataset_id: datasetId, metric: 'accuracy', gate };
  const { id } = (await send('POST', '/v1/adapters', key, body)).body;
  expect(await undelete(url)).toMatchObject({ status: 409, body: { code: 'adapter_exists' } });
  await remove(`/v1/adapters/${id}`);
  expect(await undelete(url)).toMatchObject({ status: 200, body: { name } });

  const tenant = await get(`/v1/tenants/${tenantId}`);
  await remove(`/v1/tenants/${tenantId}`, app.operatorKey);
  await createTestTenant(app.db, tenant.name);
  expect(await undelete(`/v1/tenants/${tenantId}`, app.operatorKey)).toMatchObject({
    status: 409,
    body: { code: 'tenant_exists' },
  });
});

const COLLECTION_BEGUN =
  'what the collector has begun to remove cannot come back, and goes whatever the grace time is by then';
test(COLLECTION_BEGUN, async () => {
  const other = fleet.adapters[1]!;
  for (const id of [adapterId, other]) await remove(`/v1/adapters/${id}`);
  await app.db.adapter.update({ where: { id: adapterId }, data: { collectionBeganAt: new Date() } });
  expect(await undelete(`/v1/adapters/${adapterId}`)).toMatchObject({
    status: 410,
    body: { code: 'grace_time_over', deleted_at: expect.any(String) },
  });
  expect(await collect(7)).toMatchObject({ adapters: 1, versions_of_adapters: 1 });
  expect(await undelete(`/v1/adapters/${adapterId}`)).toMatchObject({ status: 404 });
  expect(await undelete(`/v1/adapters/${other}`)).toMatchObject({ status: 200 });

  await remove(`/v1/tenants/${tenantId}`, app.operatorKey);
  await app.db.tenant.update({ where: { id: tenantId }, data: { collectionBeganAt: new Date() } });
  expect(await undelete(`/v1/tenants/${tenantId}`, app.operatorKey)).toMatchObject({ status: 410 });
  expect(await collect(7)).toMatchObject({ tenants: 1 });
  expect(await undelete(`/v1/tenants/${tenantId}`, app.operatorKey)).toMatchObject({ status: 404 });
});

test("another tenant's things cannot be undeleted, and a key that only reads undeletes nothing", async () => {
  const other = await createTestTenant(app.db, `other-than-${tenantId}`);
  const reader = await createTestKey(app.db, { tenantId, scopes: ['tenant:read'] });
  for (const id of fleet.adapters) await remove(`/v1/adapters/${id}`);
  await remove(`/v1/datasets/${datasetId}`);
  for (const url of [`/v1/datasets/${datasetId}`, `/v1/adapters/${adapterId}`]) {
    expect((await undelete(url, other.key)).status).toBe(404);
    expect((await undelete(url, reader)).status).toBe(403);
    expect((await send('GET', url)).status).toBe(404);
  }
  expect((await undelete(`/v1/tenants/${tenantId}`)).status).toBe(403);
});

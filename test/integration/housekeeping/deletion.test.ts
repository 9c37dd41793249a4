import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { insertAdapterVersion } from '../../../src/fleet/adapters/adapter.repository.ts';
import { createRollout, createRolloutLifecycle, type StoredOptions } from '../../../src/fleet/rollouts/index.ts';
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
const idsIn = async (url: string) => ((await send('GET', url)).body.data as { id: string }[]).map(({ id }) => id);

/** Plans a rollout to the new base. @returns the fleet's jobs */
async function plan() {
  const baseModelVersionId = fleet.newVersionId;
  const { rollout } = await withTransaction(app.db, (tx) => createRollout(tx, { baseModelVersionId, options: {} }));
  const lifecycle = createRolloutLifecycle({ db: app.db });
  const { options } = (await lifecycle.beginAnalysis(rollout.id))!;
  await lifecycle.plan({ id: rollout.id, baseModelVersionId, options: options as StoredOptions }, new Map());
  return { rolloutId: rollout.id, jobs: await app.db.job.findMany({ where: { rolloutId: rollout.id } }) };
}

/** Adds a version to the adapter. */
const importNext = () =>
  withTransaction(app.db, async (tx) => {
    const { artifactDigest } = await tx.adapterVersion.findFirstOrThrow({ where: { adapterId } });
    const { oldVersionId: baseModelVersionId } = fleet;
    const rest = { origin: 'imported', artifactDigest, rank: 4, loraAlpha: 8 };
    return insertAdapterVersion(tx, { id: newId('adapterVersion'), tenantId, adapterId, baseModelVersionId, ...rest });
  });

test('a dataset that an adapter has is refused; without one it is gone at once, and its name is free', async () => {
  const url = `/v1/datasets/${datasetId}`;
  expect(await remove(url)).toMatchObject({
    status: 409,
    body: { code: 'dataset_in_use', adapter_ids: fleet.adapters },
  });
  for (const id of fleet.adapters) expect(await remove(`/v1/adapters/${id}`)).toMatchObject({ status: 204 });
  for (let times = 0; times < 2; times++) expect(await remove(url)).toMatchObject({ status: 204 });
  expect(await send('GET', url)).toMatchObject({ status: 404 });
  expect(await idsIn('/v1/datasets')).toEqual([]);
  expect(await idsIn('/v1/datasets?name=data')).toEqual([]);
  const rows = ['training', 'search', 'gate'].map((split) => JSON.stringify({ prompt: split, completion: 'x', split }));
  const again = await app.request({
    method: 'POST',
    url: '/v1/datasets?name=data',
    key,
    headers: { 'content-type': 'application/x-ndjson' },
    payload: rows.join('\n'),
  });
  expect(again.statusCode).toBe(201);
  expect(await app.db.event.count({ where: { subjectId: datasetId, type: 'dataset.deleted' } })).toBe(1);
});

test('an adapter goes with its versions and jobs, and no rollout takes it any more', async () => {
  const { rolloutId, jobs } = await plan();
  const url = `/v1/adapters/${adapterId}`;
  const { id: versionId } = await app.db.adapterVersion.findFirstOrThrow({ where: { adapterId } });
  for (let times = 0; times < 2; times++) expect(await remove(url)).toMatchObject({ status: 204 });
  for (const gone of [
    url,
    `${url}/versions`,
    `${url}/versions/${versionId}`,
    `${url}/versions/${versionId}/download`,
  ]) {
    expect(await send('GET', gone)).toMatchObject({ status: 404 });
  }
  expect(await idsIn('/v1/adapters')).toEqual([fleet.adapters[1]]);
  const after = await app.db.job.findMany({ where: { rolloutId }, orderBy: { id: 'asc' } });
  expect(after).toHaveLength(2);
  for (const job of after) expect(job.state).toBe(job.adapterId === adapterId ? 'cancelled' : 'queued');
  await app.request({ method: 'POST', url: `/v1/rollouts/${rolloutId}/cancel` });
  expect((await plan()).jobs.map((job) => job.adapterId)).toEqual([fleet.adapters[1]]);
  expect(jobs).toHaveLength(2);
});

test('the end of the last job by a deletion completes the rollout', async () => {
  const { rolloutId } = await plan();
  for (const id of fleet.adapters) await remove(`/v1/adapters/${id}`);
  expect(await app.db.rollout.findUnique({ where: { id: rolloutId } })).toMatchObject({ state: 'completed' });
});

test('a version goes unless it is the latest one, or a job carries it over', async () => {
  const first = await app.db.adapterVersion.findFirstOrThrow({ where: { adapterId } });
  const url = `/v1/adapters/${adapterId}/versions`;
  expect(await remove(`${url}/${first.id}`)).toMatchObject({ status: 409, body: { code: 'latest_version' } });
  const { jobs } = await plan();
  const job = jobs.find((one) => one.adapterId === adapterId)!;
  const second = await importNext();
  expect(await remove(`${url}/${first.id}`)).toMatchObject({
    status: 409,
    body: { code: 'version_in_use', job_id: job.id },
  });
  await send('POST', `/v1/jobs/${job.id}/cancel`);
  for (let times = 0; times < 2; times++) expect(await remove(`${url}/${first.id}`)).toMatchObject({ status: 204 });
  expect(await idsIn(url)).toEqual([second.id]);
  expect(await send('GET', `${url}/${first.id}`)).toMatchObject({ status: 404 });
  expect((await importNext()).number).toBe(3);
});

test('a tenant goes with its keys, its jobs and all that it has', async () => {
  const { rolloutId } = await plan();
  expect(await remove(`/v1/tenants/${tenantId}`)).toMatchObject({ status: 403 });
  for (let times = 0; times < 2; times++) {
    expect(await remove(`/v1/tenants/${tenantId}`, app.operatorKey)).toMatchObject({ status: 204 });
  }
  expect(await send('GET', '/v1/adapters')).toMatchObject({ status: 401 });
  for (const url of [`/v1/tenants/${tenantId}`, `/v1/datasets/${datasetId}`, `/v1/adapters/${adapterId}`]) {
    expect(await send('GET', url, app.operatorKey)).toMatchObject({ status: 404 });
    expect((await remove(url, app.operatorKey)).status).toBe(url.includes('tenants') ? 204 : 404);
  }
  const listed = await send('GET', '/v1/tenants?limit=200', app.operatorKey);
  expect((listed.body.data as { id: string }[]).map(({ id }) => id)).not.toContain(tenantId);
  const body = { tenant_id: tenantId, name: 'late', scopes: ['tenant:read'] };
  expect(await send('POST', '/v1/api-keys', app.operatorKey, body)).toMatchObject({ status: 404 });
  expect(await app.db.job.findMany({ where: { rolloutId } })).toMatchObject([
    { state: 'cancelled' },
    { state: 'cancelled' },
  ]);
  await app.request({ method: 'POST', url: `/v1/rollouts/${rolloutId}/cancel` });
  expect((await plan()).jobs).toEqual([]);
});

test("another tenant's things cannot be deleted, and a key that only reads deletes nothing", async () => {
  const other = await createTestTenant(app.db, `other-than-${tenantId}`);
  const reader = await createTestKey(app.db, { tenantId, scopes: ['tenant:read'] });
  const version = await app.db.adapterVersion.findFirstOrThrow({ where: { adapterId } });
  for (const url of [
    `datasets/${datasetId}`,
    `adapters/${adapterId}`,
    `adapters/${adapterId}/versions/${version.id}`,
  ]) {
    expect(await remove(`/v1/${url}`, other.key)).toMatchObject({ status: 404 });
    expect(await remove(`/v1/${url}`, reader)).toMatchObject({ status: 403 });
    expect(await send('GET', `/v1/${url}`)).toMatchObject({ status: 200 });
  }
});

const ADAPTER_OR_DATASET =
  'an adapter that is created and a dataset that is deleted at the same moment: only one of both succeeds';
test(ADAPTER_OR_DATASET, async () => {
  for (const id of fleet.adapters) await remove(`/v1/adapters/${id}`);
  const model = await app.db.baseModel.findUniqueOrThrow({ where: { id: fleet.baseModelId } });
  const gate = { kind: 'absolute', target: 0.8 };
  const body = { name: 'racer', base_model: model.name, dataset_id: datasetId, metric: 'accuracy', gate };
  const answers = await Promise.all([send('POST', '/v1/adapters', key, body), remove(`/v1/datasets/${datasetId}`)]);
  expect([
    [201, 409],
    [404, 204],
  ]).toContainEqual(answers.map(({ status }) => status));
});

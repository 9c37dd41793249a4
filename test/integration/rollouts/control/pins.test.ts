import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { newId } from '../../../../src/platform/contract/ids.ts';
import { createRolloutLifecycle } from '../../../../src/fleet/rollouts/index.ts';
import { createFleet, type Fleet } from '../../queue/fleet.ts';
import { createTestApp, createTestKey, type TestApp } from '../../support/index.ts';

let app: TestApp;
let fleet: Fleet;
/** Adapters sorted by identifier; the first belongs to the tenant with the key. */
let adapters: string[];
let key: string;

beforeAll(async () => {
  app = await createTestApp();
});
afterAll(() => app.close());
beforeEach(async () => {
  fleet = await createFleet(app.db, { tenants: 2, adapters: 4 });
  adapters = [...fleet.adapters].sort();
  const { tenantId } = await app.db.adapter.findUniqueOrThrow({ where: { id: adapters[0]! } });
  key = await createTestKey(app.db, { tenantId });
});
afterEach(async () => {
  await fleet.remove();
  await app.db.rollout.deleteMany();
});

const send = async (method: 'POST' | 'PATCH' | 'GET', url: string, payload?: object, as?: string) => {
  const response = await app.request({ method, url, payload, ...(as === undefined ? {} : { key: as }) });
  return { status: response.statusCode, body: response.json() };
};
const pin = (id: string, to: string | null, as = key) =>
  send('PATCH', `/v1/adapters/${id}`, { pinned_base_model_version_id: to }, as);

/** Starts and plans a rollout to the new version. @returns the operator's answer */
async function rollOut(policy?: object) {
  const options = policy === undefined ? {} : { policy };
  const { body } = await send('POST', '/v1/rollouts', { base_model_version_id: fleet.newVersionId, options });
  expect(body.left_out).toBeNull();
  await plan(body.id);
  return (await send('GET', `/v1/rollouts/${body.id}`)).body;
}

async function plan(id: string): Promise<void> {
  const lifecycle = createRolloutLifecycle({ db: app.db });
  const row = await lifecycle.beginAnalysis(id);
  const options = row!.options as Parameters<typeof lifecycle.plan>[0]['options'];
  await lifecycle.plan({ id, baseModelVersionId: fleet.newVersionId, options }, new Map());
}

const taken = async (rolloutId: string) =>
  (await app.db.job.findMany({ where: { rolloutId }, orderBy: { adapterId: 'asc' } })).map((job) => job.adapterId);

test('no rollout to another version takes a pinned adapter, until its tenant takes the pin away', async () => {
  const [own, ...others] = adapters as [string, ...string[]];
  expect(await pin(own, fleet.oldVersionId)).toMatchObject({
    status: 200,
    body: { pinned_base_model_version_id: fleet.oldVersionId, approval: 'none' },
  });
  const first = await rollOut();
  expect(await taken(first.id)).toEqual(others);
  expect(first).toMatchObject({ jobs: { queued: 3 }, left_out: { pinned: 1 } });
  expect((await send('GET', `/v1/rollouts/${first.id}`, undefined, key)).body.left_out).toBeNull();
  await send('POST', `/v1/rollouts/${first.id}/cancel`);
  expect((await pin(own, null)).body.pinned_base_model_version_id).toBeNull();
  expect(await taken((await rollOut()).id)).toEqual(adapters);
  const changes = await app.db.event.findMany({
    where: { subjectId: own, type: 'adapter.updated' },
    orderBy: { seq: 'asc' },
  });
  expect(changes.map(({ data }) => data)).toEqual([
    { pinned_base_model_version_id: fleet.oldVersionId },
    { pinned_base_model_version_id: null },
  ]);
});

test('a rollout to the version that an adapter is pinned to takes it', async () => {
  await pin(adapters[0]!, fleet.newVersionId);
  const { id, left_out: leftOut } = await rollOut();
  expect(await taken(id)).toEqual(adapters);
  expect(leftOut).toEqual({});
});

test('a rollout counts by reason whom it leaves out, once', async () => {
  const [pinned, unselected, carried, neither] = adapters as [string, string, string, string];
  await pin(pinned, fleet.oldVersionId);
  await pin(unselected, fleet.oldVersionId, app.operatorKey);
  const { tenantId, ...like } = await app.db.adapterVersion.findFirstOrThrow({ where: { adapterId: carried } });
  const version = {
    ...{ ...like, source: undefined, metrics: undefined, servedFeatures: undefined },
    ...{ id: newId('adapterVersion'), tenantId, number: 2, origin: 'adapted' },
  };
  await app.db.adapterVersion.create({
    data: { ...version, baseModelVersionId: fleet.newVersionId, parentVersionId: like.id },
  });
  await app.db.adapterVersion.updateMany({ where: { adapterId: neither }, data: { deletedAt: new Date() } });
  const rollout = await rollOut({ selection: { adapters: [pinned] } });
  const leftOut = { pinned: 1, not_selected: 1, carried_over: 1, no_version: 1 };
  expect(rollout.left_out).toEqual(leftOut);
  // An interrupted planning resumes, and adapters planned meanwhile are not left out.
  await pin(pinned, null);
  await app.db.rollout.update({ where: { id: rollout.id }, data: { state: 'analyzing', plannedAt: null } });
  await plan(rollout.id);
  expect((await send('GET', `/v1/rollouts/${rollout.id}`)).body).toMatchObject({
    left_out: leftOut,
    jobs: { queued: 1 },
  });
});

const PIN_AND_EXISTING_JOB =
  'a pin leaves a job that exists alone, also when that is paused and resumed, and keeps it from being retried';
test(PIN_AND_EXISTING_JOB, async () => {
  const [own] = adapters as [string];
  const { id: rolloutId } = await rollOut();
  const { id } = await app.db.job.findFirstOrThrow({ where: { rolloutId, adapterId: own } });
  await pin(own, fleet.oldVersionId);
  const job = async (what: string) => send('POST', `/v1/jobs/${id}/${what}`, undefined, key);
  expect((await job('pause')).body.state).toBe('paused');
  expect((await job('resume')).body.state).toBe('queued');
  await send('POST', `/v1/rollouts/${rolloutId}/pause`);
  expect((await send('POST', `/v1/rollouts/${rolloutId}/resume`)).body.jobs).toEqual({ queued: 4 });
  expect((await job('cancel')).body.state).toBe('cancelled');
  expect(await job('retry')).toMatchObject({ status: 409, body: { code: 'adapter_pinned' } });
  await pin(own, fleet.newVersionId);
  expect((await job('retry')).body.state).toBe('queued');
});

test('an adapter is pinned to versions of its own base model, by its own tenant', async () => {
  const [own] = adapters as [string];
  const another = await createFleet(app.db, { tenants: 1, adapters: 1 });
  for (const to of [another.newVersionId, newId('baseModelVersion')]) {
    expect(await pin(own, to)).toMatchObject({ status: 422, body: { code: 'base_model_version_not_found' } });
  }
  const stranger = await createTestKey(app.db, { tenantId: another.tenants[0]! });
  expect((await pin(own, fleet.oldVersionId, stranger)).status).toBe(404);
  const reader = await createTestKey(app.db, { tenantId: fleet.tenants[0]!, scopes: ['tenant:read'] });
  expect((await pin(own, fleet.oldVersionId, reader)).status).toBe(403);
  expect((await send('GET', `/v1/adapters/${own}`)).body.pinned_base_model_version_id).toBeNull();
  await another.remove();
});

test('an adapter can be created with a pin, and not with one to another base model', async () => {
  const { datasetId, tenantId } = await app.db.adapter.findUniqueOrThrow({ where: { id: adapters[0]! } });
  const body = {
    ...{ base_model: fleet.baseModelId, dataset_id: datasetId, metric: 'loss', gate: { kind: 'absolute', target: 2 } },
    ...{ tenant_id: tenantId, approval: 'tenant' },
  };
  const create = (name: string, to: string) =>
    send('POST', '/v1/adapters', { ...body, name, pinned_base_model_version_id: to });
  expect(await create('pinned', fleet.oldVersionId)).toMatchObject({
    status: 201,
    body: { pinned_base_model_version_id: fleet.oldVersionId, approval: 'tenant' },
  });
  expect((await create('mispinned', newId('baseModelVersion'))).status).toBe(422);
});

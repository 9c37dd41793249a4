import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { newId } from '../../../src/platform/contract/ids.ts';
import { createTestKey } from '../support/index.ts';
import { createReplicaWorld, FOLDER, type ReplicaWorld } from './support/replica-world.ts';

let world: ReplicaWorld;
beforeAll(async () => {
  world = await createReplicaWorld();
});
beforeEach(() => world.begin());
afterEach(() => world.reset());
afterAll(() => world.close());

const body = (more: object = {}) => ({
  ...{ name: 'one', engine: 'vllm', url: 'http://127.0.0.1:8000', path_prefix: FOLDER },
  ...{ base_model_version_id: world.fleet.oldVersionId, ...more },
});
const create = (more?: object) => world.send('POST', '/v1/replicas', body(more));

test('a replica has defaults, is changed, and is gone when it is removed', async () => {
  const created = await create();
  expect(created).toMatchObject({
    status: 201,
    body: {
      ...{ state: 'syncing', max_adapters: 1000, aliases: true, check: 'gate_prompt', tenant_ids: [], labels: {} },
      ...{ unload_after_ms: 600_000, has_api_key: false, desired: 0, error: null },
    },
  });
  const { id } = created.body as { id: string };
  const changed = await world.send('PATCH', `/v1/replicas/${id}`, { max_adapters: 5, check: 'none' });
  expect(changed).toMatchObject({ status: 200, body: { max_adapters: 5, check: 'none', aliases: true } });
  expect((await world.send('DELETE', `/v1/replicas/${id}`)).status).toBe(204);
  expect(await world.get(id)).toMatchObject({ code: 'not_found' });
  expect(await world.events(id)).toEqual(['replica.created', 'replica.updated', 'replica.deleted']);
});

test.each([
  ['an address outside the allowed ranges', { url: 'http://10.0.0.1:8000' }, 422, 'url_not_allowed'],
  ['an address with a password', { url: 'http://user:secret@127.0.0.1:8000' }, 422, 'url_not_allowed'],
  ['a base model version that does not exist', { base_model_version_id: newId('baseModelVersion') }, 404, 'not_found'],
  ['a tenant that does not exist', { tenant_ids: [newId('tenant')] }, 404, 'not_found'],
  ['a relative folder', { path_prefix: 'adapters' }, 400, 'invalid_request'],
])('%s is refused, and nothing is added', async (_what, more, status, code) => {
  expect(await create(more)).toMatchObject({ status, body: { code } });
  expect(await world.app.db.replica.count()).toBe(0);
});

test('a name or an address that another replica has is refused', async () => {
  await create();
  expect(await create({ url: 'http://127.0.0.1:8001' })).toMatchObject({
    status: 409,
    body: { code: 'replica_exists' },
  });
  expect(await create({ name: 'two' })).toMatchObject({ status: 409, body: { code: 'replica_exists' } });
});

test('tenants see no replica', async () => {
  const { id } = (await create()).body as { id: string };
  const key = world.app.operatorKey;
  expect((await world.app.request({ url: `/v1/replicas/${id}`, key })).statusCode).toBe(200);
  const tenant = await createTestKey(world.app.db, { tenantId: world.fleet.tenants[0]! });
  for (const url of ['/v1/replicas', `/v1/replicas/${id}`, `/v1/replicas/${id}/adapters`]) {
    expect((await world.app.request({ url, key: tenant })).statusCode).toBe(403);
  }
});

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestApp, createTestKey, type TestApp } from '../support/index.ts';

let app: TestApp;
let fleet: Fleet;
let tenantId: string;
let key: string;

beforeAll(async () => {
  app = await createTestApp();
  fleet = await createFleet(app.db, { tenants: 2, adapters: 4 });
  tenantId = fleet.tenants[0]!;
  key = await createTestKey(app.db, { tenantId });
});
afterAll(async () => {
  await fleet.remove();
  await app.close();
});
beforeEach(() => app.db.adapter.updateMany({ data: { labels: {} } }));

async function send(method: 'GET' | 'POST' | 'PATCH', url: string, payload?: object, as = key) {
  const response = await app.request({ method, url, key: as, ...(payload === undefined ? {} : { payload }) });
  return { status: response.statusCode, body: response.json() };
}

/** Adapters of a tenant, oldest first. */
const ofTenant = async (id: string) =>
  (await app.db.adapter.findMany({ where: { tenantId: id, deletedAt: null }, orderBy: { id: 'asc' } })).map(
    (row) => row.id,
  );
const give = (id: string, labels: object) => send('PATCH', `/v1/adapters/${id}`, { labels });
const list = async (query: string, as = key) =>
  (await send('GET', `/v1/adapters?${query}`, undefined, as)).body.data.map(({ id }: { id: string }) => id);

test('an adapter gets labels when it is created, and others in their place', async () => {
  const { datasetId } = await app.db.adapter.findFirstOrThrow({ where: { tenantId } });
  const { name } = await app.db.baseModel.findUniqueOrThrow({ where: { id: fleet.baseModelId } });
  const task = { base_model: name, dataset_id: datasetId, metric: 'loss', gate: { kind: 'absolute', target: 2 } };
  const labels = { tier: 'gold', 'example.com/Team': 'search_1.0' };
  const created = await send('POST', '/v1/adapters', { name: 'labelled', ...task, labels });
  expect(created).toMatchObject({ status: 201, body: { labels } });
  const { id } = created.body;
  expect((await send('GET', `/v1/adapters/${id}`)).body.labels).toEqual(labels);
  expect((await send('GET', '/v1/adapters?name=labelled')).body.data[0].labels).toEqual(labels);

  const replaced = await give(id, { tier: 'silver' });
  expect(replaced).toMatchObject({ status: 200, body: { labels: { tier: 'silver' }, dataset_id: datasetId } });
  expect(replaced.body.labels).toEqual({ tier: 'silver' });
  expect(await list('label=tier:silver')).toEqual([id]);
  expect(await list('label=tier:gold')).toEqual([]);
  await give(id, { tier: 'silver' });
  const events = await app.db.event.findMany({ where: { subjectId: id }, orderBy: { seq: 'asc' } });
  expect(events.map(({ type, data }) => ({ type, data }))).toEqual([
    {
      type: 'adapter.created',
      data: {
        name: 'labelled',
        base_model_id: fleet.baseModelId,
        dataset_id: datasetId,
        labels,
        pinned_base_model_version_id: null,
        approval: 'none',
      },
    },
    { type: 'adapter.updated', data: { labels: { tier: 'silver' } } },
  ]);
  expect((await give(id, {})).body.labels).toEqual({});
  expect(await list('label=tier:silver')).toEqual([]);
});

test('labels can be changed while a job of the adapter runs, and its dataset stays', async () => {
  const [id] = (await ofTenant(tenantId)) as [string];
  const { datasetId } = await app.db.adapter.findUniqueOrThrow({ where: { id } });
  expect(await send('PATCH', `/v1/adapters/${id}`, { labels: { a: 'b' } })).toMatchObject({
    body: { dataset_id: datasetId },
  });
  expect((await send('PATCH', `/v1/adapters/${id}`, {})).status).toBe(400);
});

describe('a list', () => {
  test('has the adapters with all of the labels, page by page', async () => {
    const [first, second, third] = (await ofTenant(tenantId)) as [string, string, string];
    for (const id of [first, second, third]) await give(id, { tier: 'gold', ...(id !== second && { region: 'eu' }) });
    expect(await list('label=tier:gold')).toEqual([third, second, first]);
    expect(await list('label=region:eu&label=tier:gold')).toEqual([third, first]);
    expect(await list('label=tier:gold&label=tier:silver')).toEqual([]);
    const page = (await send('GET', '/v1/adapters?label=tier:gold&limit=2')).body;
    expect(page.data.map(({ id }: { id: string }) => id)).toEqual([third, second]);
    expect(await list(`label=tier:gold&limit=2&cursor=${page.next_cursor}`)).toEqual([first]);
    expect(await list(`label=region:eu&not_on=${fleet.newVersionId}`)).toEqual([third, first]);
  });

  test('shows a tenant none of another one, and the operator those of all', async () => {
    const [other] = (await ofTenant(fleet.tenants[1]!)) as [string];
    const [own] = (await ofTenant(tenantId)) as [string];
    await give(own, { tier: 'gold' });
    await app.db.adapter.update({ where: { id: other }, data: { labels: { tier: 'gold' } } });
    const operator = app.operatorKey;
    expect(await list('label=tier:gold')).toEqual([own]);
    expect((await list('label=tier:gold', operator)).sort()).toEqual([other, own].sort());
    expect(await list(`label=tier:gold&tenant_id=${fleet.tenants[1]}`, operator)).toEqual([other]);
    expect(await list(`label=tier:gold&tenant_id=${fleet.tenants[1]}`)).toEqual([]);
  });

  test.each(['tier', 'tier:', ':gold', 'tier:gold:eu', 'ti er:gold', `tier:${'g'.repeat(64)}`])(
    'by %s is refused',
    async (label) => {
      expect((await send('GET', `/v1/adapters?label=${encodeURIComponent(label)}`)).status).toBe(400);
    },
  );
});

test.each<[string, object]>([
  ['33 labels', Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`k${index}`, 'v']))],
  ['a long key', { [`k${'e'.repeat(63)}`]: 'v' }],
  ['a long value', { k: `v${'a'.repeat(63)}` }],
  ['an empty key', { '': 'v' }],
  ['an empty value', { k: '' }],
  ['a key with a colon', { 'a:b': 'v' }],
  ['a key that begins with a dot', { '.k': 'v' }],
  ['a number', { k: 1 }],
  ['labels of labels', { k: { k: 'v' } }],
])('%s are refused', async (_, labels) => {
  const [id] = (await ofTenant(tenantId)) as [string];
  expect(await give(id, labels)).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
  expect((await send('GET', `/v1/adapters/${id}`)).body.labels).toEqual({});
});

test('32 labels of the largest size are taken', async () => {
  const [id] = (await ofTenant(tenantId)) as [string];
  const labels = Object.fromEntries(
    Array.from({ length: 32 }, (_, index) => [`k${'/'.repeat(60)}${String(index).padStart(2, '0')}`, 'v'.repeat(63)]),
  );
  expect((await give(id, labels)).body.labels).toEqual(labels);
});

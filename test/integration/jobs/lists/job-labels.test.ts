import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '../../../../src/platform/contract/ids.ts';
import { createFleet, type Fleet } from '../../queue/fleet.ts';
import { createTestApp, createTestKey, untilReadable, type TestApp } from '../../support/index.ts';

let app: TestApp;
let fleet: Fleet;
let key: string;
/** Identifiers of two rollouts, each with a job per adapter. */
const rollouts = [newId('rollout'), newId('rollout')] as const;
const LABELS = [{ tier: 'gold', region: 'eu' }, { tier: 'gold' }, { tier: 'silver', region: 'eu' }, {}];

beforeAll(async () => {
  app = await createTestApp();
  fleet = await createFleet(app.db, { tenants: 2, adapters: LABELS.length });
  key = await createTestKey(app.db, { tenantId: fleet.tenants[0]! });
  for (const [index, id] of fleet.adapters.entries()) {
    await app.db.adapter.update({ where: { id }, data: { labels: LABELS[index]! } });
  }
  const adapters = await app.db.adapter.findMany({ where: { id: { in: [...fleet.adapters] } } });
  for (const rolloutId of rollouts) {
    const rollout = { id: rolloutId, baseModelVersionId: fleet.newVersionId, options: {} };
    await app.db.rollout.create({ data: { ...rollout, state: 'adapting' } });
    for (const [index, { id: adapterId, tenantId }] of adapters.entries()) {
      const job = { id: newId('job'), tenantId, rolloutId, adapterId, strategy: 'auto', metricName: 'loss' };
      const end = { ttrMs: 10 - index, finishedAt: new Date(Date.UTC(2026, 10, 1 + index)) };
      await app.db.job.create({ data: { ...job, state: 'ready', ...end } });
    }
  }
  await untilReadable(app.db);
});
afterAll(async () => {
  await fleet.remove();
  await app.close();
});

interface Listed {
  readonly adapter_id: string;
  readonly rollout_id: string;
}

async function ask(query: string, { as = app.operatorKey, etag = '' } = {}) {
  const answer = await app.request({
    url: `/v1/jobs?${query}`,
    key: as,
    headers: etag === '' ? {} : { 'if-none-match': etag },
  });
  return { status: answer.statusCode, etag: answer.headers.etag as string, body: answer.json() };
}

/** Indexes into {@link LABELS} of the adapters whose jobs are listed, in the list's order. */
async function list(query: string, as = app.operatorKey): Promise<number[]> {
  const { status, body } = await ask(query, { as });
  expect(status, JSON.stringify(body)).toBe(200);
  return body.data.map((job: Listed) => fleet.adapters.indexOf(job.adapter_id));
}

test('jobs are listed by the labels of their adapters, of all rollouts or of one', async () => {
  expect((await list('label=tier:gold')).sort()).toEqual([0, 0, 1, 1]);
  expect((await list(`label=tier:gold&rollout_id=${rollouts[1]}`)).sort()).toEqual([0, 1]);
  expect(await list('label=tier:gold&label=region:eu')).toEqual([0, 0]);
  expect(await list('label=tier:silver&label=tier:gold')).toEqual([]);
  expect((await list('label=region:eu&changed_after=0')).sort()).toEqual([0, 0, 2, 2]);
});

test('they are sorted as others are, and a page follows the last one', async () => {
  expect(await list('label=region:eu&sort=ttr')).toEqual([2, 2, 0, 0]);
  expect(await list('label=region:eu&sort=-finished&state=ready&state=failed')).toEqual([2, 2, 0, 0]);
  const first = await ask('label=tier:gold&sort=ttr&limit=3');
  const rest = await ask(`label=tier:gold&sort=ttr&limit=3&cursor=${first.body.next_cursor}`);
  const ids = [...first.body.data, ...rest.body.data].map(({ id }: { id: string }) => id);
  expect([ids.length, new Set(ids).size, rest.body.next_cursor]).toEqual([4, 4, null]);
});

test('a tenant sees its own', async () => {
  const own = await app.db.adapter.findMany({ where: { tenantId: fleet.tenants[0]! }, select: { id: true } });
  const places = own.map(({ id }) => fleet.adapters.indexOf(id)).filter((place) => place < 2);
  expect(places.length).toBe(1);
  expect(await list('label=tier:gold&sort=ttr', key)).toEqual([places[0], places[0]]);
});

test('a label that an adapter gets counts at once, also for an answer that a client has kept', async () => {
  const before = await ask('label=tier:bronze');
  expect(before).toMatchObject({ status: 200, body: { data: [] } });
  await app.db.adapter.update({ where: { id: fleet.adapters[3]! }, data: { labels: { tier: 'bronze' } } });
  expect(await ask('label=tier:bronze', { etag: before.etag })).toMatchObject({ status: 200 });
  expect(await list('label=tier:bronze')).toEqual([3, 3]);
});

test.each(['tier', ':gold', 'tier:', 'tier:gold,silver'])('the label %s is refused', async (label) => {
  expect(await ask(`label=${label}`)).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
});

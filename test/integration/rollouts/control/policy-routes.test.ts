import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createRolloutLifecycle } from '../../../../src/fleet/rollouts/index.ts';
import { createFleet, type Fleet } from '../../queue/fleet.ts';
import { createTestApp, createTestKey, type TestApp } from '../../support/index.ts';

let app: TestApp;
let fleet: Fleet;

beforeAll(async () => {
  app = await createTestApp();
});
afterAll(() => app.close());
beforeEach(async () => {
  fleet = await createFleet(app.db, { tenants: 2, adapters: 4 });
});
afterEach(async () => {
  await fleet.remove();
  await app.db.rollout.deleteMany();
});

const POLICY = { waves: [{ count: 1 }], approve: 'manual', pause_if: { unready_share: 0.1 } } as const;

const send = async (method: 'POST' | 'PATCH' | 'GET', url: string, payload?: object, key?: string) => {
  const response = await app.request({ method, url, payload, ...(key === undefined ? {} : { key }) });
  return { status: response.statusCode, body: response.json() };
};
const accept = (options: object = {}) =>
  send('POST', '/v1/rollouts', { base_model_version_id: fleet.newVersionId, options });

/** Values of an empty policy. */
const DEFAULTS = { approve: 'auto', supersede: 'finish', provisional: 'none', late: 'next' };

/** Plans an accepted rollout. */
async function plan(id: string): Promise<void> {
  const lifecycle = createRolloutLifecycle({ db: app.db });
  const row = await lifecycle.beginAnalysis(id);
  const options = row!.options as Parameters<typeof lifecycle.plan>[0]['options'];
  await lifecycle.plan({ id, baseModelVersionId: fleet.newVersionId, options }, new Map());
}

describe('a policy', () => {
  test('is that of the rollout, or else that of its base model', async () => {
    const model = `/v1/base-models/${fleet.baseModelId}`;
    expect((await send('GET', model)).body.policy).toBeNull();
    expect(await send('PATCH', model, { policy: POLICY })).toMatchObject({ status: 200, body: { policy: POLICY } });
    const first = await accept();
    expect(first.body).toMatchObject({ options: { policy: POLICY }, waves: { released: 1, total: 1 } });
    await send('POST', `/v1/rollouts/${first.body.id}/cancel`, {});
    const second = await accept({ policy: {} });
    expect(second.body.options.policy).toEqual(DEFAULTS);
    await send('POST', `/v1/rollouts/${second.body.id}/cancel`, {});
    expect((await send('PATCH', model, { policy: null })).body.policy).toBeNull();
    const third = await accept();
    expect(third.body).toMatchObject({ waves: null });
    expect(third.body.options).not.toHaveProperty('policy');
    const created = await send('POST', '/v1/base-models', { name: `third-${fleet.baseModelId}`, policy: POLICY });
    expect(created).toMatchObject({ status: 201, body: { policy: POLICY } });
  });

  test('has options of the rollout, unless these say them themselves', async () => {
    const model = `/v1/base-models/${fleet.baseModelId}`;
    const policy = { strategy: 'reuse', control_fraction: 0.25, concurrency: 2, priority: 'low' };
    expect((await send('PATCH', model, { policy })).body.policy).toMatchObject(policy);
    const ofPolicy = await accept();
    expect(ofPolicy.body.options).toMatchObject({ strategy: 'reuse', control: 'sample', control_fraction: 0.25 });
    expect(ofPolicy.body.options.policy).toEqual({ ...DEFAULTS, concurrency: 2, priority: 'low' });
    await send('POST', `/v1/rollouts/${ofPolicy.body.id}/cancel`, {});
    const own = await accept({ strategy: 'scratch', control: 'none' });
    expect(own.body.options).toMatchObject({ strategy: 'scratch', control: 'none', policy: { concurrency: 2 } });
  });

  test('of a base model has no deadline, which is a time', async () => {
    const policy = { deadline: '2030-01-01T00:00:00Z' };
    expect((await send('PATCH', `/v1/base-models/${fleet.baseModelId}`, { policy })).status).toBe(400);
    const accepted = await accept({ policy });
    expect(accepted.body).toMatchObject({ options: { policy }, deadline_missed_at: null });
    const { deadline } = await app.db.rollout.findUniqueOrThrow({ where: { id: accepted.body.id } });
    expect(deadline).toEqual(new Date(policy.deadline));
  });

  test.each([
    ['no job at a time', { concurrency: 0 }],
    ['a budget of nothing', { budget_device_seconds: 0 }],
    ['another priority', { priority: 'highest' }],
    ['a deadline without a zone', { deadline: '2030-01-01T00:00:00' }],
    ['a deadline in a leap second', { deadline: '2016-12-31T23:59:60Z' }],
    ['a deadline in the year 0', { deadline: '0000-01-01T00:00:00Z' }],
    ['an unknown condition', { pause_if: { mood: 1 } }],
    ['a share above one', { pause_if: { unready_share: 2 } }],
    ['a wave of nobody', { waves: [{ count: 0 }] }],
    ['a wave of two sizes', { waves: [{ count: 1, percent: 5 }] }],
    ['a wave by size and label', { waves: [{ count: 1, label: { tier: 'gold' } }] }],
    ['more than everybody', { waves: [{ percent: 101 }] }],
    ['a selection by no label', { selection: { labels: {} } }],
    ['a label that none can have', { selection: { labels: { tier: 'très cher' } } }],
  ])('with %s is refused', async (_, policy) => {
    expect((await accept({ policy })).status).toBe(400);
  });
});

const SELECTED_ADAPTERS =
  'a selection takes adapters by name or by tenant, waves and all, and leaves the others to another rollout';
test(SELECTED_ADAPTERS, async () => {
  const [tenant] = fleet.tenants as [string, string];
  const owned = await app.db.adapter.findMany({ where: { id: { in: fleet.adapters } }, orderBy: { id: 'asc' } });
  const one = owned.find(({ tenantId }) => tenantId !== tenant)!.id;
  const expected = owned.filter(({ id, tenantId }) => tenantId === tenant || id === one).map(({ id }) => id);
  const taken = async (rolloutId: string) =>
    (await app.db.job.findMany({ where: { rolloutId }, orderBy: { adapterId: 'asc' } })).map(
      ({ adapterId }) => adapterId,
    );
  const selection = { tenants: [tenant], adapters: [one] };
  const { body } = await accept({ policy: { selection, waves: [{ count: 1 }] } });
  await plan(body.id);
  expect(await taken(body.id)).toEqual(expected);
  expect((await send('GET', `/v1/rollouts/${body.id}`)).body).toMatchObject({
    jobs: { queued: 1, held: 2 },
    waves: { total: 2 },
  });
  const key = await createTestKey(app.db, { tenantId: tenant });
  expect((await send('GET', `/v1/rollouts/${body.id}`, undefined, key)).body.options.policy).toEqual({
    waves: [{ count: 1 }],
    ...DEFAULTS,
  });
  await send('POST', `/v1/rollouts/${body.id}/cancel`, {});
  const rest = await accept({ policy: {} });
  await plan(rest.body.id);
  expect(await taken(rest.body.id)).toEqual([...fleet.adapters].sort());
});

test('a selection by labels takes the adapters with all of them, of those that it names besides', async () => {
  const [first, second, third, fourth] = [...fleet.adapters].sort() as [string, string, string, string];
  const label = (id: string, labels: object) => app.db.adapter.update({ where: { id }, data: { labels } });
  await label(first, { tier: 'gold', region: 'eu' });
  await label(second, { tier: 'gold' });
  await label(third, { tier: 'silver', region: 'eu' });
  const taken = async (selection: object) => {
    const { body } = await accept({ policy: { selection } });
    await plan(body.id);
    const jobs = await app.db.job.findMany({ where: { rolloutId: body.id }, orderBy: { adapterId: 'asc' } });
    await send('POST', `/v1/rollouts/${body.id}/cancel`, {});
    return jobs.map(({ adapterId }) => adapterId);
  };
  expect(await taken({ labels: { tier: 'gold' } })).toEqual([first, second]);
  expect(await taken({ labels: { tier: 'gold', region: 'eu' } })).toEqual([first]);
  expect(await taken({ labels: { tier: 'gold' }, adapters: [second, third, fourth] })).toEqual([second]);
  const { tenantId } = await app.db.adapter.findUniqueOrThrow({ where: { id: third } });
  expect(await taken({ labels: { tier: 'silver' }, tenants: [tenantId], adapters: [first] })).toEqual([third]);
  expect(await taken({ labels: { tier: 'bronze' } })).toEqual([]);
});

test('waves are the same wherever their planning is interrupted', async () => {
  const { body } = await accept({ policy: { waves: [{ count: 2 }] } });
  await plan(body.id);
  const waves = async () =>
    (await app.db.job.findMany({ where: { rolloutId: body.id }, orderBy: { adapterId: 'asc' } })).map(
      ({ wave }) => wave,
    );
  const before = await waves();
  expect([...before].sort()).toEqual([1, 1, 2, 2]);
  // Imitates a process that dies after the rollout's first page.
  const last = [...fleet.adapters].sort().at(-1)!;
  await app.db.job.deleteMany({ where: { rolloutId: body.id, adapterId: last } });
  await app.db.rollout.update({ where: { id: body.id }, data: { state: 'analyzing', plannedAt: null } });
  await plan(body.id);
  expect(await waves()).toEqual(before);
});

const LABEL_WAVES_DECIDED_ONCE =
  'waves by label are decided once: nobody moves when labels change and adapters come while a planning is interrupted';
test(LABEL_WAVES_DECIDED_ONCE, async () => {
  const [first, second, third, fourth] = [...fleet.adapters].sort() as [string, string, string, string];
  const label = (id: string, labels: object) => app.db.adapter.update({ where: { id }, data: { labels } });
  await label(second, { tier: 'internal' });
  await label(fourth, { tier: 'internal', beta: 'yes' });
  await label(third, { beta: 'yes' });
  const policy = { waves: [{ label: { tier: 'internal' } }, { label: { beta: 'yes' } }] };
  const { body } = await accept({ policy });
  await plan(body.id);
  const waves = async () => {
    const jobs = await app.db.job.findMany({ where: { rolloutId: body.id } });
    return Object.fromEntries(jobs.map(({ adapterId, wave }) => [adapterId, wave]));
  };
  const expected = { [second]: 1, [fourth]: 1, [third]: 2, [first]: 3 };
  expect(await waves()).toEqual(expected);
  expect((await send('GET', `/v1/rollouts/${body.id}`)).body).toMatchObject({
    jobs: { queued: 2, held: 2 },
    options: { policy },
    waves: { released: 1, total: 3 },
  });
  const key = await createTestKey(app.db, { tenantId: fleet.tenants[0]! });
  expect((await send('GET', `/v1/rollouts/${body.id}`, undefined, key)).body.options.policy.waves).toEqual([
    { label: {} },
    { label: {} },
  ]);
  await app.db.job.deleteMany({ where: { rolloutId: body.id, adapterId: { in: [third, fourth] } } });
  await app.db.rollout.update({ where: { id: body.id }, data: { state: 'analyzing', plannedAt: null } });
  await label(third, { tier: 'internal' });
  await label(fourth, {});
  await plan(body.id);
  expect(await waves()).toEqual(expected);
});

const LABEL_WAVE_OF_SELECTION =
  'a wave by label takes only adapters that are selected, and one whose label nobody has waits for its approval';
test(LABEL_WAVE_OF_SELECTION, async () => {
  const [first, second] = [...fleet.adapters].sort() as [string, string];
  await app.db.adapter.updateMany({ where: { id: { in: [first, second] } }, data: { labels: { tier: 'internal' } } });
  const waves = [{ label: { tier: 'nobody' } }, { label: { tier: 'internal' } }];
  const { body } = await accept({
    policy: { selection: { adapters: fleet.adapters.filter((id) => id !== first) }, waves, approve: 'manual' },
  });
  await plan(body.id);
  const shown = async () => (await send('GET', `/v1/rollouts/${body.id}`)).body;
  expect(await shown()).toMatchObject({ jobs: { held: 3 }, waves: { released: 1, total: 3, awaiting_approval: true } });
  await send('POST', `/v1/rollouts/${body.id}/approve`, { wave: 2 });
  expect(await shown()).toMatchObject({
    jobs: { queued: 1, held: 2 },
    waves: { released: 2, awaiting_approval: false },
  });
  expect(await app.db.job.findFirst({ where: { rolloutId: body.id, state: 'queued' } })).toMatchObject({
    adapterId: second,
  });
});

test('only the operator pauses, resumes and approves, and a tenant sees that it was done', async () => {
  const key = await createTestKey(app.db, { tenantId: fleet.tenants[0]! });
  const { body } = await accept({ policy: POLICY });
  await plan(body.id);
  const url = `/v1/rollouts/${body.id}`;
  for (const what of ['pause', 'resume', 'approve']) {
    expect((await send('POST', `${url}/${what}`, { wave: 2 }, key)).status).toBe(403);
  }
  expect(await send('POST', `${url}/approve`, { wave: 2 })).toMatchObject({
    status: 409,
    body: { code: 'wave_not_waiting' },
  });
  expect((await send('POST', `${url}/pause`)).status).toBe(200);
  expect((await send('GET', url, undefined, key)).body).toMatchObject({
    state: 'paused',
    paused_reason: { code: 'requested' },
    waves: { released: 1, total: 2 },
  });
  expect((await send('GET', '/v1/rollouts?state=paused', undefined, key)).body.data).toMatchObject([{ id: body.id }]);
  const [job] = (await send('GET', `/v1/jobs?rollout_id=${body.id}&state=held`, undefined, key)).body.data;
  expect(job).toMatchObject({ wave: 2, phase: 'held' });
  const other = await createTestKey(app.db, { tenantId: fleet.tenants[1]! });
  for (const what of ['pause', 'resume', 'retry'])
    expect((await send('POST', `/v1/jobs/${job.id}/${what}`, undefined, other)).status).toBe(404);
});

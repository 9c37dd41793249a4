import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newId } from '../../../src/platform/contract/ids.ts';
import { createJobLifecycle } from '../../../src/fleet/job-control/job-lifecycle.ts';
import { createRolloutLifecycle } from '../../../src/fleet/rollouts/index.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestApp, createTestKey, untilReadable, type TestApp } from '../support/index.ts';

let app: TestApp;
let fleet: Fleet;
let tenantKeys: string[];

beforeAll(async () => {
  app = await createTestApp();
});
afterAll(() => app.close());
beforeEach(async () => {
  fleet = await createFleet(app.db, { tenants: 2, adapters: 3 });
  tenantKeys = await Promise.all(fleet.tenants.map((tenantId) => createTestKey(app.db, { tenantId })));
});
afterEach(() => fleet.remove());

const get = async (url: string, key?: string) => {
  const response = await app.request({ method: 'GET', url, ...(key === undefined ? {} : { key }) });
  return { status: response.statusCode, body: response.json(), etag: response.headers.etag as string };
};
const post = async (url: string, payload?: object, key?: string) => {
  const response = await app.request({ method: 'POST', url, payload, ...(key === undefined ? {} : { key }) });
  return { status: response.statusCode, body: response.json() };
};
const accept = (options: object = {}) => post('/v1/rollouts', { base_model_version_id: fleet.newVersionId, options });

async function planned(): Promise<string> {
  const { body } = await accept();
  const lifecycle = createRolloutLifecycle({ db: app.db });
  const row = await lifecycle.beginAnalysis(body.id);
  const options = row!.options as Parameters<typeof lifecycle.plan>[0]['options'];
  await lifecycle.plan({ id: body.id, baseModelVersionId: fleet.newVersionId, options }, new Map());
  await untilReadable(app.db);
  return body.id;
}

describe('POST /v1/rollouts', () => {
  test('accepts, with defaults, and queues the analysis', async () => {
    const { status, body } = await accept({ max_steps: 50 });
    expect(status).toBe(202);
    expect(body).toMatchObject({
      base_model_version_id: fleet.newVersionId,
      version: 'v2',
      state: 'planning',
      options: { strategy: 'auto', max_steps: 50, control: 'none', control_fraction: 0.5, seed: 0 },
      summary: { adapters: 0, median_ttr_ms: null, makespan_ms: null },
      finished_at: null,
    });
    expect(await app.db.outboxEntry.count()).toBe(0);
    expect(await app.db.event.count({ where: { subjectId: body.id, type: 'rollout.accepted' } })).toBe(1);
  });

  test.each([
    ['an unknown option', { optoins: {} }, 400],
    ['an unknown strategy', { options: { strategy: 'magic' } }, 400],
    ['a fraction above one', { options: { control_fraction: 1.5 } }, 400],
    ['a negative budget', { options: { max_steps: -1 } }, 400],
    ['a learning rate above 1', { options: { learning_rate: 1.5 } }, 400],
  ])('refuses %s', async (_what, body, status) => {
    const answer = await post('/v1/rollouts', { base_model_version_id: fleet.newVersionId, ...body });
    expect(answer).toMatchObject({ status, body: { code: 'invalid_request' } });
  });

  test('refuses a version that does not exist, and a second rollout while one is going on', async () => {
    expect(await post('/v1/rollouts', { base_model_version_id: newId('baseModelVersion') })).toMatchObject({
      status: 422,
      body: { code: 'base_model_version_not_found' },
    });
    const first = await accept();
    expect(await accept()).toMatchObject({ status: 409, body: { code: 'rollout_exists', rollout_id: first.body.id } });
  });

  test('is the operator’s', async () => {
    const answer = await post('/v1/rollouts', { base_model_version_id: fleet.newVersionId }, tenantKeys[0]);
    expect(answer.status).toBe(403);
  });
});

describe('reading', () => {
  test('a tenant sees every rollout, but only its own jobs in it', async () => {
    const id = await planned();
    expect((await get(`/v1/rollouts/${id}`)).body).toMatchObject({
      state: 'adapting',
      jobs: { queued: 3 },
      summary: { adapters: 3 },
    });
    const [first, second] = await Promise.all(tenantKeys.map((key) => get(`/v1/rollouts/${id}`, key)));
    expect(first!.body).toMatchObject({ jobs: { queued: 2 }, summary: { adapters: 2 } });
    expect(second!.body).toMatchObject({ jobs: { queued: 1 }, summary: { adapters: 1 } });
    const list = await get('/v1/rollouts?limit=1', tenantKeys[1]);
    expect(list.body.data).toMatchObject([{ id, jobs: { queued: 1 } }]);
  });

  test('a tenant lists and gets its own jobs; another’s is not there', async () => {
    const id = await planned();
    const all = (await get(`/v1/jobs?rollout_id=${id}`)).body.data as { id: string; tenant_id: string }[];
    expect(all).toHaveLength(3);
    const theirs = all.find((job) => job.tenant_id === fleet.tenants[1])!;
    const mine = (await get('/v1/jobs', tenantKeys[0])).body.data as { tenant_id: string }[];
    expect(mine.map((job) => job.tenant_id)).toEqual([fleet.tenants[0], fleet.tenants[0]]);
    for (const url of [`/v1/jobs/${theirs.id}`, `/v1/jobs/${theirs.id}/metrics`]) {
      expect((await get(url, tenantKeys[0])).status).toBe(404);
      expect((await get(url, tenantKeys[1])).status).toBe(200);
    }
    expect((await post(`/v1/jobs/${theirs.id}/cancel`, undefined, tenantKeys[0])).status).toBe(404);
    const events = (await get('/v1/events', tenantKeys[0])).body.data as { tenant_id: string }[];
    expect(new Set(events.map((event) => event.tenant_id))).toEqual(new Set([fleet.tenants[0]]));
  });

  test('a job that was not touched since then is not listed, and an unchanged answer is 304', async () => {
    const id = await planned();
    const list = (await get(`/v1/jobs?rollout_id=${id}`)).body.data as { id: string; updated_at: string }[];
    const later = new Date(Date.parse(list[0]!.updated_at) + 1).toISOString();
    expect((await get(`/v1/jobs?rollout_id=${id}&updated_since=${later}`)).body.data).toEqual([]);
    const { etag } = await get(`/v1/jobs/${list[0]!.id}`);
    const conditional = () =>
      app.request({ method: 'GET', url: `/v1/jobs/${list[0]!.id}`, headers: { 'if-none-match': etag } });
    expect((await conditional()).statusCode).toBe(304);
    await createJobLifecycle({ db: app.db }).claim({ jobId: list[0]!.id, owner: 'me' });
    expect((await conditional()).statusCode).toBe(200);
    const changed = (await get(`/v1/jobs?rollout_id=${id}&updated_since=${later}`)).body.data;
    expect(changed).toMatchObject([{ id: list[0]!.id, state: 'preparing', attempt: 1 }]);
  });

  test('jobs by state and kind, page by page', async () => {
    const id = await planned();
    const first = (await get(`/v1/jobs?rollout_id=${id}&state=queued&kind=adaptation&limit=2`)).body;
    expect(first.data).toHaveLength(2);
    const second = (await get(`/v1/jobs?rollout_id=${id}&limit=2&cursor=${first.next_cursor}`)).body;
    expect(second).toMatchObject({ next_cursor: null, data: [{ rollout_id: id }] });
    expect((await get(`/v1/jobs?rollout_id=${id}&state=ready`)).body.data).toEqual([]);
    const owner = first.data[0].tenant_id as string;
    const owned = (await get(`/v1/jobs?rollout_id=${id}&tenant_id=${owner}`)).body.data as { tenant_id: string }[];
    expect(new Set(owned.map((job) => job.tenant_id))).toEqual(new Set([owner]));
    expect(owned.length).toBeLessThan(3);
  });

  test('jobs and rollouts in one of several states, and rollouts of a base model', async () => {
    const id = await planned();
    const [one] = await app.db.job.findMany({ where: { rolloutId: id, kind: 'adaptation' } });
    await app.db.job.update({ where: { id: one!.id }, data: { state: 'failed', finishedAt: new Date() } });
    await untilReadable(app.db);
    const all = (await get(`/v1/jobs?rollout_id=${id}`)).body.data as { id: string; state: string }[];
    const states = 'state=queued&state=failed&state=failed';
    for (const others of ['', '&changed_after=0']) {
      const found = (await get(`/v1/jobs?rollout_id=${id}&${states}${others}`)).body.data as { id: string }[];
      expect(found.map((job) => job.id).sort()).toEqual(all.map((job) => job.id).sort());
    }
    const ids = async (url: string) => ((await get(url)).body.data as { id: string }[]).map((row) => row.id);
    expect(await ids(`/v1/jobs?rollout_id=${id}&${states}`)).toEqual(all.map((job) => job.id));
    const first = (await get(`/v1/jobs?rollout_id=${id}&${states}&limit=1`)).body;
    const rest = await ids(`/v1/jobs?rollout_id=${id}&${states}&cursor=${first.next_cursor}`);
    expect([first.data[0].id, ...rest]).toEqual(all.map((job) => job.id));
    expect(await ids(`/v1/jobs?rollout_id=${id}&state=ready&state=failed`)).toEqual([one!.id]);
    expect((await get('/v1/jobs?state=queued&state=unknown')).status).toBe(400);

    const { base_model_name: model, state } = (await get(`/v1/rollouts/${id}`)).body;
    const { baseModelId } = (
      await app.db.rollout.findUniqueOrThrow({ where: { id }, include: { baseModelVersion: true } })
    ).baseModelVersion;
    for (const reference of [model, baseModelId])
      expect(await ids(`/v1/rollouts?base_model=${reference}`)).toContain(id);
    expect(await ids(`/v1/rollouts?base_model=${model}&state=${state}&state=failed`)).toEqual([id]);
    expect(await ids(`/v1/rollouts?base_model=${model}&state=failed&state=cancelled`)).toEqual([]);
    expect(await ids('/v1/rollouts?base_model=unknown')).toEqual([]);
  });

  test('metric points from where one left off', async () => {
    const id = await planned();
    const job = await app.db.job.findFirstOrThrow({ where: { rolloutId: id } });
    const points = [1, 2, 3].map((step) => ({
      jobId: job.id,
      tenantId: job.tenantId,
      name: 'train_loss',
      step,
      value: 1 / step,
    }));
    await app.db.metricPoint.createMany({ data: points });
    const first = (await get(`/v1/jobs/${job.id}/metrics?limit=2`)).body;
    expect(first.data.map((point: { step: number }) => point.step)).toEqual([1, 2]);
    const rest = (await get(`/v1/jobs/${job.id}/metrics?since_id=${first.next_since_id}`)).body;
    expect(rest.data).toMatchObject([{ name: 'train_loss', step: 3, value: 1 / 3 }]);
    const none = (await get(`/v1/jobs/${job.id}/metrics?since_id=${rest.next_since_id}`)).body;
    expect(none).toEqual({ data: [], next_since_id: rest.next_since_id });
  });

  test('what does not exist is a 404', async () => {
    for (const url of [`/v1/rollouts/${newId('rollout')}`, `/v1/jobs/${newId('job')}`]) {
      expect(await get(url)).toMatchObject({ status: 404, body: { code: 'not_found' } });
    }
  });
});

describe('cancelling', () => {
  test('a rollout: its jobs go with it, the queue forgets them, and again is the same answer', async () => {
    const id = await planned();
    const first = await post(`/v1/rollouts/${id}/cancel`);
    expect(first).toMatchObject({ status: 200, body: { state: 'cancelled', jobs: { cancelled: 3 } } });
    expect(await post(`/v1/rollouts/${id}/cancel`)).toMatchObject({ status: 200, body: { state: 'cancelled' } });
    expect(await app.deps.producer.count('adaptations')).toBe(0);
    expect((await post(`/v1/rollouts/${id}/cancel`, undefined, tenantKeys[0])).status).toBe(403);
  });

  test('a queued job by its tenant; the last one completes the rollout, which then cannot be cancelled', async () => {
    const id = await planned();
    const jobs = (await get(`/v1/jobs?rollout_id=${id}`)).body.data as { id: string; tenant_id: string }[];
    for (const job of jobs) {
      const key = tenantKeys[fleet.tenants.indexOf(job.tenant_id)];
      expect(await post(`/v1/jobs/${job.id}/cancel`, undefined, key)).toMatchObject({
        status: 200,
        body: { state: 'cancelled' },
      });
    }
    expect(await post(`/v1/jobs/${jobs[0]!.id}/cancel`)).toMatchObject({ status: 200, body: { state: 'cancelled' } });
    expect((await get(`/v1/rollouts/${id}`)).body).toMatchObject({ state: 'completed', jobs: { cancelled: 3 } });
    expect(await post(`/v1/rollouts/${id}/cancel`)).toMatchObject({ status: 409, body: { code: 'rollout_ended' } });
  });

  test('a job that has ended otherwise is a conflict', async () => {
    const id = await planned();
    const job = await app.db.job.findFirstOrThrow({ where: { rolloutId: id } });
    const lifecycle = createJobLifecycle({ db: app.db });
    const lease = { jobId: job.id, owner: 'me' };
    await lifecycle.claim(lease);
    await lifecycle.end(lease, id, { state: 'not_ready' });
    expect(await post(`/v1/jobs/${job.id}/cancel`)).toMatchObject({ status: 409, body: { code: 'job_ended' } });
  });
});

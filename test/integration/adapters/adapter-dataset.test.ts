import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
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
  fleet = await createFleet(app.db, { tenants: 1, adapters: 1 });
  tenantId = fleet.tenants[0]!;
  adapterId = fleet.adapters[0]!;
  ({ id: datasetId } = await app.db.dataset.findFirstOrThrow({ where: { tenantId } }));
  key = await createTestKey(app.db, { tenantId });
});
afterEach(() => fleet.remove());

async function send(method: 'DELETE' | 'GET' | 'POST' | 'PATCH', url: string, payload?: object) {
  const response = await app.request({ method, url, key, ...(payload === undefined ? {} : { payload }) });
  return { status: response.statusCode, body: response.body === '' ? null : response.json() };
}
const give = (dataset: string | null) => send('PATCH', `/v1/adapters/${adapterId}`, { dataset_id: dataset });

/** Uploads a dataset whose rows are in slices named like their splits. */
async function upload(name = 'more', as = key): Promise<string> {
  const rows = ['training', 'search', 'gate'].map((split) =>
    JSON.stringify({ prompt: split, completion: 'x', split, slices: [split, 'all'] }),
  );
  const response = await app.request({
    ...{ method: 'POST', url: `/v1/datasets?name=${name}`, key: as, payload: rows.join('\n') },
    headers: { 'content-type': 'application/x-ndjson' },
  });
  return response.json<{ id: string }>().id;
}

/** Plans a rollout to the new base. @returns the adapter's job */
async function plan() {
  const baseModelVersionId = fleet.newVersionId;
  const { rollout } = await withTransaction(app.db, (tx) => createRollout(tx, { baseModelVersionId, options: {} }));
  const lifecycle = createRolloutLifecycle({ db: app.db });
  const { options } = (await lifecycle.beginAnalysis(rollout.id))!;
  await lifecycle.plan({ id: rollout.id, baseModelVersionId, options: options as StoredOptions }, new Map());
  return app.db.job.findFirstOrThrow({ where: { rolloutId: rollout.id } });
}

test('a dataset can be deleted when its adapters have others, which the refusal says', async () => {
  const refused = await send('DELETE', `/v1/datasets/${datasetId}`);
  expect(refused).toMatchObject({ status: 409, body: { code: 'dataset_in_use', adapter_ids: [adapterId] } });
  expect(refused.body.detail).toContain('adapter-0');
  expect(refused.body.detail).toContain('PATCH /v1/adapters/{id}');
  const more = await upload();
  expect(await give(more)).toMatchObject({ status: 200, body: { id: adapterId, dataset_id: more } });
  expect((await send('DELETE', `/v1/datasets/${datasetId}`)).status).toBe(204);
  expect((await send('DELETE', `/v1/datasets/${more}`)).status).toBe(409);
  const events = await app.db.event.findMany({ where: { subjectId: adapterId, type: 'adapter.updated' } });
  expect(events.map(({ data }) => data)).toEqual([{ dataset_id: more }]);
  await give(more);
  expect(await app.db.event.count({ where: { subjectId: adapterId } })).toBe(1);
});

test('the answer says what the gate rows of the new dataset can certify', async () => {
  const relative = { kind: 'relative', margin: 0.06, confidence: 0.9 };
  await app.db.adapter.update({ where: { id: adapterId }, data: { gate: relative, metric: 'accuracy' } });
  const more = await upload();
  await app.db.dataset.update({ where: { id: more }, data: { splits: { gate: 400 } } });
  const advice = { rows: 400, margin: 0.06, confidence: 0.9, decidable: 'yes' };
  expect((await give(more)).body.gate_advice).toMatchObject(advice);
  expect((await give(more)).body.gate_advice, 'also where nothing changes').toMatchObject(advice);
  expect((await give(null)).body.gate_advice).toBeNull();
});

test('the latest version is to be measured on the new rows, if its successors are compared with it', async () => {
  const requested = () => app.db.outcomeRequest.findMany({ where: { tenantId } });
  await give(await upload());
  expect(await requested(), 'its gate is absolute').toEqual([]);
  await app.db.adapter.update({ where: { id: adapterId }, data: { gate: { kind: 'relative', margin: 0.02 } } });
  const [first] = await app.db.adapterVersion.findMany({ where: { adapterId } });
  await give(datasetId);
  const [before, ...others] = await requested();
  expect(others).toEqual([]);
  expect(before).toMatchObject({ adapterVersionId: first!.id, queued: false });
  await give(await upload('again'));
  const [after] = await requested();
  expect(after!.requestedAt.getTime()).toBeGreaterThan(before!.requestedAt.getTime());
  // Margins count from the imported version, so it is measured on the new rows too.
  const { id: imported, artifactDigest } = first!;
  await app.db.adapterVersion.create({
    data: {
      ...{
        tenantId,
        adapterId,
        baseModelVersionId: fleet.newVersionId,
        parentVersionId: imported,
        number: 2,
        origin: 'adapted',
      },
      ...{ id: newId('adapterVersion'), artifactDigest, rank: 4, loraAlpha: 8 },
    },
  });
  await app.db.outcomeRequest.deleteMany();
  await give(datasetId);
  expect(await requested()).toHaveLength(2);
  await app.db.adapterVersion.update({ where: { id: imported }, data: { deletedAt: new Date() } });
  await app.db.outcomeRequest.deleteMany();
  await give(await upload('once-more'));
  expect((await requested()).map(({ adapterVersionId }) => adapterVersionId)).not.toContain(imported);
  await app.db.outcomeRequest.deleteMany();
  await give(null);
  expect(await requested()).toEqual([]);
});

test('without a dataset its job is planned as failed, and with one again it runs', async () => {
  expect(await give(null)).toMatchObject({ status: 200, body: { dataset_id: null } });
  const job = await plan();
  expect(job).toMatchObject({ state: 'failed', error: { code: 'dataset_missing' } });
  expect((job.error as { message: string }).message).toContain('PATCH /v1/adapters/{id}');
  await send('POST', `/v1/rollouts/${job.rolloutId}/cancel`);
  await app.request({ method: 'POST', url: `/v1/rollouts/${job.rolloutId}/cancel` });
  expect((await give(datasetId)).status).toBe(200);
  expect(await plan()).toMatchObject({ state: 'queued', error: null });
});

test('while a job of it waits or runs, or its report is measured, its dataset stays', async () => {
  const job = await plan();
  expect(await give(null)).toMatchObject({ status: 409, body: { code: 'adapter_in_use', job_id: job.id } });
  expect(await give(datasetId), 'nothing is changed').toMatchObject({ status: 200 });
  await send('POST', `/v1/jobs/${job.id}/cancel`);
  await app.db.job.update({ where: { id: job.id }, data: { baselinesPending: true } });
  expect(await give(null)).toMatchObject({ status: 409, body: { code: 'adapter_in_use' } });
  await app.db.job.update({ where: { id: job.id }, data: { baselinesPending: false } });
  expect((await give(null)).status).toBe(200);
});

test("neither an unknown dataset, a deleted one nor another tenant's is taken", async () => {
  const other = await createTestTenant(app.db, `other-than-${tenantId}`);
  const foreign = await upload('more', other.key);
  const deleted = await upload();
  await send('DELETE', `/v1/datasets/${deleted}`);
  for (const id of [foreign, deleted, 'dst_01900000-0000-7000-8000-000000000000']) {
    expect(await give(id), id).toMatchObject({ status: 404, body: { code: 'not_found' } });
  }
  expect(await app.db.adapter.findUnique({ where: { id: adapterId } })).toMatchObject({ datasetId });
  await send('DELETE', `/v1/adapters/${adapterId}`);
  expect((await give(null)).status).toBe(404);
});

test('a dataset that is deleted and given at the same moment: only one of both succeeds', async () => {
  for (let round = 0; round < 10; round++) {
    const spare = await upload();
    const answers = await Promise.all([give(spare), send('DELETE', `/v1/datasets/${spare}`)]);
    expect([
      [200, 409],
      [404, 204],
    ]).toContainEqual(answers.map(({ status }) => status));
    await give(datasetId);
    await send('DELETE', `/v1/datasets/${spare}`);
  }
});

const MISSING_SLICE =
  'a dataset without gate rows in a slice that the gate names is refused, unless it is not known which there are';
test(MISSING_SLICE, async () => {
  const sliced = await upload();
  expect((await send('GET', `/v1/datasets/${sliced}`)).body).toMatchObject({ gate_slices: { all: 1, gate: 1 } });
  const name = (slice: string) =>
    app.db.adapter.update({
      where: { id: adapterId },
      data: { gate: { kind: 'relative', margin: 0.1, slices: [{ name: slice, margin: 0.1 }] } },
    });
  await name('training');
  expect(await give(sliced)).toMatchObject({
    status: 422,
    body: {
      ...{ code: 'unknown_slice', slice: 'training', dataset_id: sliced },
      detail: `the gate names the slice training, which no gate row of dataset ${sliced} is in: they name all, gate`,
    },
  });
  expect(await app.db.adapter.findUnique({ where: { id: adapterId } })).toMatchObject({ datasetId });
  await name('gate');
  expect(await give(sliced)).toMatchObject({ status: 200, body: { dataset_id: sliced } });
  // The fleets' datasets are from before slices were counted.
  expect((await send('GET', `/v1/datasets/${datasetId}`)).body).toMatchObject({ gate_slices: null });
  expect((await give(datasetId)).status).toBe(200);
});

test('a dataset of prompts alone is refused for a metric that needs answers', async () => {
  const prompts = ['training', 'search', 'gate'].map((split) => JSON.stringify({ prompt: split, split }));
  const response = await app.request({
    ...{ method: 'POST', url: '/v1/datasets?name=prompts', key, payload: prompts.join('\n') },
    headers: { 'content-type': 'application/x-ndjson' },
  });
  const { id } = response.json<{ id: string }>();
  const setMetric = (metric: 'accuracy' | 'loss' | 'exact_match' | 'rouge_l' | 'token_f1') =>
    app.db.adapter.update({ where: { id: adapterId }, data: { metric, gate: { kind: 'relative', margin: 0.1 } } });
  for (const metric of ['accuracy', 'loss'] as const) {
    await setMetric(metric);
    expect(await give(id)).toMatchObject({
      status: 422,
      body: {
        ...{ code: 'metric_needs_answers', dataset_id: id },
        detail: expect.stringContaining(`the metric is ${metric}, expected exact_match, rouge_l or token_f1`),
      },
    });
  }
  const { name: base_model } = await app.db.baseModel.findFirstOrThrow({
    where: { adapters: { some: { id: adapterId } } },
  });
  const create = (metric: string) => {
    const gate = { kind: 'relative', margin: 0.1 };
    return send('POST', '/v1/adapters', { name: 'asks', base_model, dataset_id: id, metric, gate });
  };
  expect(await create('accuracy')).toMatchObject({ status: 422, body: { code: 'metric_needs_answers' } });
  expect((await create('exact_match')).status).toBe(201);
  for (const metric of ['rouge_l', 'token_f1', 'exact_match'] as const) {
    await setMetric(metric);
    expect(await give(id)).toMatchObject({ status: 200, body: { dataset_id: id } });
    await give(datasetId);
  }
});

const CHANGED_GATE =
  'another gate holds for the next rollout, and has the latest version measured if it compares with it';
test(CHANGED_GATE, async () => {
  const gate = { kind: 'relative', margin: 0.05, confidence: 0.9 };
  const give = (value: object) => send('PATCH', `/v1/adapters/${adapterId}`, { gate: value });
  await app.db.adapter.update({ where: { id: adapterId }, data: { metric: 'accuracy' } });
  const changed = await give(gate);
  expect(changed).toMatchObject({ status: 200, body: { gate, dataset_id: datasetId } });
  expect((await send('GET', `/v1/adapters/${adapterId}`)).body).toMatchObject({ gate });
  expect(await app.db.outcomeRequest.count({ where: { tenantId } })).toBe(1);
  await give(gate);
  const events = await app.db.event.findMany({ where: { subjectId: adapterId, type: 'adapter.updated' } });
  expect(
    events.map(({ data }) => data),
    'nothing changes the second time',
  ).toEqual([{ gate: changed.body.gate }]);

  expect(await give({ kind: 'relative', margin: 2 })).toMatchObject({ status: 422, body: { code: 'invalid_gate' } });
  const slices = [{ name: 'nowhere', margin: 0.1 }];
  const more = await upload();
  const both = await send('PATCH', `/v1/adapters/${adapterId}`, { dataset_id: more, gate: { ...gate, slices } });
  expect(both).toMatchObject({ status: 422, body: { code: 'unknown_slice', slice: 'nowhere' } });
  expect((await send('GET', `/v1/adapters/${adapterId}`)).body).toMatchObject({ gate, dataset_id: datasetId });
});

test('the gate stays while a job needs it', async () => {
  const job = await plan();
  const gate = { kind: 'absolute', target: 0.9 };
  const refused = await send('PATCH', `/v1/adapters/${adapterId}`, { gate });
  expect(refused).toMatchObject({ status: 409, body: { code: 'adapter_in_use', job_id: job.id } });
  await send('POST', `/v1/jobs/${job.id}/cancel`);
  expect(await send('PATCH', `/v1/adapters/${adapterId}`, { gate })).toMatchObject({ status: 200, body: { gate } });
});

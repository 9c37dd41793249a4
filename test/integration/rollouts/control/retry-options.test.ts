import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { newId } from '../../../../src/platform/contract/ids.ts';
import type { Job } from '../../../../src/fleet/jobs/job.schemas.ts';
import { adaptationRepository } from '../../../../workers/adaptations/adaptation.repository.ts';
import { buildJobSpec } from '../../../../workers/adaptations/build-job-spec.ts';
import { createFleet, type Fleet } from '../../queue/fleet.ts';
import { createTestApp, createTestKey, type TestApp } from '../../support/index.ts';

const ROLLED_OUT = { strategy: 'auto', max_steps: 100, batch_size: 4 };

let app: TestApp;
let fleet: Fleet;
let tenantKey: string;
let rolloutId: string;
let jobId: string;

beforeAll(async () => {
  app = await createTestApp();
  fleet = await createFleet(app.db, { tenants: 1, adapters: 1 });
  tenantKey = await createTestKey(app.db, { tenantId: fleet.tenants[0]! });
  rolloutId = newId('rollout');
  const rollout = { id: rolloutId, baseModelVersionId: fleet.newVersionId, options: ROLLED_OUT };
  await app.db.rollout.create({ data: { ...rollout, state: 'adapting' } });
});
afterAll(async () => {
  await fleet.remove();
  await app.close();
});
beforeEach(async () => {
  await app.db.job.deleteMany();
  jobId = await addJob('adaptation');
});

async function addJob(kind: 'adaptation' | 'control'): Promise<string> {
  const [source] = await app.db.adapterVersion.findMany();
  const { tenantId, adapterId, id: sourceVersionId } = source!;
  const ended = { state: 'not_ready' as const, finishedAt: new Date() };
  const what = { tenantId, rolloutId, adapterId, sourceVersionId, kind, ...ended };
  const strategy = kind === 'control' ? 'scratch' : 'auto';
  const { id } = await app.db.job.create({ data: { id: newId('job'), ...what, strategy, metricName: 'loss' } });
  return id;
}

async function retry(body?: object | string, { key = tenantKey, id = jobId } = {}) {
  const request = { method: 'POST' as const, url: `/v1/jobs/${id}/retry`, key };
  const answer = await app.request({ ...request, ...(body !== undefined && { payload: body }) });
  return { status: answer.statusCode, body: answer.json<Job & { code?: string; option?: string; limit?: number }>() };
}
const endAgain = () => app.db.job.updateMany({ data: { state: 'failed', finishedAt: new Date() } });

/** Options with which a worker would start the job. */
async function optionsOf(id: string) {
  const job = await adaptationRepository.load(app.db, id);
  const spec = await buildJobSpec(app.db, job!, { artifacts: fleet.artifacts, workDir: fleet.folder });
  return spec.options;
}

test('needs no body, and then keeps the options of the rollout', async () => {
  expect(await retry()).toMatchObject({ status: 200, body: { state: 'queued', strategy: 'auto', own_options: null } });
  await endAgain();
  const url = `/v1/jobs/${jobId}/retry`;
  // Clients may always send the content type.
  const empty = await app.request({
    method: 'POST',
    url,
    key: tenantKey,
    headers: { 'content-type': 'application/json' },
  });
  expect(empty.statusCode, empty.body).toBe(200);
  expect(await optionsOf(jobId)).toEqual(ROLLED_OUT);
  const { paths } = (await app.request({ url: '/openapi.json' })).json();
  expect(paths['/v1/jobs/{id}/retry'].post.requestBody.required).toBe(false);
  expect(paths['/v1/rollouts'].post.requestBody.required).toBe(true);
});

test('takes other options, which the worker gets and later retries keep', async () => {
  const options = { strategy: 'warm-start', max_steps: 50, learning_rate: 0.0001 };
  expect(await retry({ options })).toMatchObject({
    status: 200,
    body: { strategy: 'warm-start', own_options: options },
  });
  expect(await optionsOf(jobId)).toEqual({ ...ROLLED_OUT, ...options });
  const [entry] = await app.db.auditEntry.findMany({ where: { subjectId: jobId }, orderBy: { id: 'desc' } });
  expect(entry).toMatchObject({ operation: 'retryJob', after: { state: 'queued', own_options: options } });

  await endAgain();
  expect((await retry()).body).toMatchObject({ strategy: 'warm-start', own_options: options });
  await endAgain();
  // The new options replace the earlier ones rather than adding to them.
  expect((await retry({ options: { max_steps: 10 } })).body).toMatchObject({
    strategy: 'auto',
    own_options: { max_steps: 10 },
  });
  expect(await optionsOf(jobId)).toEqual({ ...ROLLED_OUT, max_steps: 10 });
  await endAgain();
  expect((await retry({ options: {} })).body).toMatchObject({ strategy: 'auto', own_options: null });
  expect(await optionsOf(jobId)).toEqual(ROLLED_OUT);
});

test.each([
  ['more steps than the rollout has', { max_steps: 101 }, { option: 'max_steps', limit: 100 }],
  ['more evaluations than are usual', { search_evaluations: 13 }, { option: 'search_evaluations', limit: 12 }],
])('a tenant cannot ask for %s, and the operator can', async (_what, options, details) => {
  expect(await retry({ options })).toMatchObject({ status: 422, body: { code: 'invalid_options', ...details } });
  expect(await app.db.job.findUniqueOrThrow({ where: { id: jobId } })).toMatchObject({ state: 'not_ready' });
  expect(await retry({ options }, { key: app.operatorKey })).toMatchObject({ status: 200 });
});

test.each([
  ['an unknown option', { batch_size: 8 }],
  ['an unknown strategy', { strategy: 'guess' }],
  ['a learning rate that is a slip', { learning_rate: 2 }],
  ['a number of steps below 0', { max_steps: -1 }],
])('refuses %s', async (_what, options) => {
  expect(await retry({ options })).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
});

test('a control stays one that trains from scratch', async () => {
  const id = await addJob('control');
  expect(await retry({ options: { strategy: 'reuse' } }, { id })).toMatchObject({
    status: 422,
    body: { code: 'invalid_options' },
  });
  expect((await retry({ options: { max_steps: 20 } }, { id })).body).toMatchObject({
    strategy: 'scratch',
    own_options: { max_steps: 20 },
  });
});

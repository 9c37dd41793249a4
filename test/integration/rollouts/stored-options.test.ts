import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Prisma } from '../../../src/platform/database/generated/prisma/client.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { adaptationRepository } from '../../../workers/adaptations/adaptation.repository.ts';
import { buildJobSpec } from '../../../workers/adaptations/build-job-spec.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestApp, createTestKey, type TestApp } from '../support/index.ts';

const KNOWN = { strategy: 'auto', max_steps: 100, regularize_towards: 'initial', seed: 3 };

let app: TestApp;
let fleet: Fleet;
let tenantKey: string;

beforeAll(async () => {
  app = await createTestApp();
  fleet = await createFleet(app.db, { tenants: 1, adapters: 1 });
  tenantKey = await createTestKey(app.db, { tenantId: fleet.tenants[0]! });
});
afterAll(async () => {
  await fleet.remove();
  await app.close();
});

async function get(url: string) {
  const answer = await app.request({ method: 'GET', url });
  expect(answer.statusCode, answer.body).toBe(200);
  return answer.json();
}

/** Adds a rollout as stored by an earlier version, with a failed job. */
async function storedRollout(options: Prisma.InputJsonObject) {
  const [id, baseModelVersionId] = [newId('rollout'), fleet.newVersionId];
  const ended = { finishedAt: new Date() };
  await app.db.rollout.create({ data: { id, baseModelVersionId, options, state: 'completed', ...ended } });
  const { tenantId, adapterId, id: sourceVersionId } = await app.db.adapterVersion.findFirstOrThrow();
  const of = { tenantId, rolloutId: id, adapterId, sourceVersionId };
  const job = await app.db.job.create({
    data: { id: newId('job'), ...of, ...ended, state: 'failed', strategy: 'auto', metricName: 'loss' },
  });
  return { id, jobId: job.id };
}

describe.each([
  ['regularize_space', 'factors'],
  ['regularize_space', 'product'],
  ['grouping', 'global'],
  ['grouping', 'module'],
  ['coefficients', 'beta'],
  ['fusion_energy', 0.9],
])('a rollout that is stored with the deleted option %s: %s', (deleted, value) => {
  const stored = { ...KNOWN, [deleted]: value, control: 'none', control_fraction: 0.5 };
  let rollout: { id: string; jobId: string };
  beforeAll(async () => {
    await app.db.rollout.deleteMany();
    rollout = await storedRollout(stored);
  });

  test('is listed and shown with the options that there are', async () => {
    const { data } = await get('/v1/rollouts');
    for (const found of [...data, await get(`/v1/rollouts/${rollout.id}`)]) {
      expect(found).toMatchObject({ id: rollout.id, options: KNOWN });
      expect(found.options).not.toHaveProperty(deleted);
    }
    expect(data).toHaveLength(1);
    expect((await get(`/v1/jobs?rollout_id=${rollout.id}`)).data).toMatchObject([{ id: rollout.jobId }]);
  });

  test('has jobs that are retried and go on without it', async () => {
    const url = `/v1/jobs/${rollout.jobId}/retry`;
    const answer = await app.request({
      method: 'POST',
      url,
      key: tenantKey,
      payload: { options: { max_steps: 50 } },
    });
    expect(answer.statusCode, answer.body).toBe(200);
    const job = await adaptationRepository.load(app.db, rollout.jobId);
    const spec = await buildJobSpec(app.db, job!, { artifacts: fleet.artifacts, workDir: fleet.folder });
    expect(spec.options).toEqual({ ...KNOWN, max_steps: 50 });
  });

  test('has a forecast that is listed and shown', async () => {
    const id = newId('forecast');
    const row = { id, baseModelVersionId: fleet.newVersionId, state: 'queued', options: stored };
    await app.db.rolloutForecast.create({ data: row });
    const { data } = await get('/v1/rollout-forecasts');
    expect(data).toMatchObject([{ id, options: KNOWN }]);
    expect((await get(`/v1/rollout-forecasts/${id}`)).options).not.toHaveProperty(deleted);
    await app.db.rolloutForecast.deleteMany();
  });
});

test.each([
  ['regularize_space', 'factors'],
  ['grouping', 'global'],
  ['coefficients', 'both'],
  ['fusion_energy', 1],
])('a request that has the deleted option %s is refused by its name', async (deleted, value) => {
  const payload = { base_model_version_id: fleet.newVersionId, options: { [deleted]: value } };
  const answer = await app.request({ method: 'POST', url: '/v1/rollouts', payload });
  expect(answer.json()).toMatchObject({
    status: 400,
    code: 'invalid_request',
    errors: [{ field: `options.${deleted}`, message: 'is not a known field' }],
  });
});

test('a ladder that is stored with the deleted rung prior is shown with it', async () => {
  await app.db.rollout.deleteMany();
  const { jobId } = await storedRollout(KNOWN);
  const gate = { value: 0.5, best_case: null, standard_error: 0.1, bound: null, needed: 0.8, negative_flips: null };
  const found = { rows: 32, measured_rows: 32, verdict: 'failed', failed: ['value'], certificate: null };
  const made = { strategy: 'relora', fusion_alpha: 1.1, fusion_beta: -0.8, step: 0, search_loss: 0.7, elapsed_ms: 2 };
  const shown = {
    rungs: [{ rung: 'prior', result: 'failed', reason: null, ms: 1, best_candidate: 'prior', looks: 1 }],
    candidates: [{ id: 'prior', rung: 'prior', ...made, gate: { ...gate, ...found, judged_in: null } }],
  };
  const ladder = { ended: true, current_rung: null, published_candidate: null, ...shown, candidates_left_out: 0 };
  const run = { jobId, tenantId: fleet.tenants[0]!, retriedAfter: 0, strategy: 'auto', ladder };
  await app.db.jobLadder.create({ data: run });
  expect(await get(`/v1/jobs/${jobId}/ladder`)).toMatchObject({ recorded: true, data: [shown] });
});

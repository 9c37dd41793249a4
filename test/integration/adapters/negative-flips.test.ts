import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadConfig } from '../../../src/platform/config/config.ts';
import { createQueueBackend } from '../../../src/platform/queue/index.ts';
import { startWorker, type RunningWorker } from '../../../workers/start/start-worker.ts';
import { createTrainingProcess, type TrainingProcess } from '../../../workers/training/training-process.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { eventually } from '../../eventually.ts';
import { logger } from '../queue/test-queue.ts';
import { createTestApp, createTestKey, createTestTenant, type TestApp } from '../support/index.ts';

/** Training process that publishes a version which lost rows 3 and 9, the first in a critical slice. */
const ENTRY = fileURLToPath(new URL('../jobs/scripted-training.ts', import.meta.url));

let app: TestApp;
let fleet: Fleet;
let training: TrainingProcess;
let worker: RunningWorker;
let key: string;
let versionUrl: string;

beforeAll(async () => {
  app = await createTestApp();
  fleet = await createFleet(app.db, { tenants: 1, adapters: 1 });
  key = await createTestKey(app.db, { tenantId: fleet.tenants[0]! });
  training = createTrainingProcess({ logger, entry: ENTRY });
  await fleet.behave({});
  const { url } = app.database;
  const config = loadConfig({ READAPT_DATA_DIR: path.join(fleet.folder, 'data'), DATABASE_URL: url });
  const backend = createQueueBackend({ databaseUrl: url, redisUrl: null });
  const { db } = app;
  worker = await startWorker(config, { db, artifacts: fleet.artifacts, backend, training, logger }, { sweepMs: 300 });
  const rollout = { base_model_version_id: fleet.newVersionId };
  const created = await app.request({ method: 'POST', url: '/v1/rollouts', payload: rollout });
  expect(created.statusCode, created.body).toBe(202);
  const adapter = `/v1/adapters/${fleet.adapters[0]!}`;
  const published = await eventually('a version is published', () =>
    app.db.adapterVersion.findFirst({ where: { origin: 'adapted' } }),
  );
  versionUrl = `${adapter}/versions/${published.id}`;
});
afterAll(async () => {
  await worker.stop();
  await training.stop();
  await fleet.remove();
  await app.close();
});

const get = async (url: string, as = key) => {
  const response = await app.request({ url, key: as });
  return { status: response.statusCode, body: response.json() };
};

test('the rows that a version has lost are listed in pages, with the dataset that they are in', async () => {
  const { id: dataset_id } = await app.db.dataset.findFirstOrThrow();
  const [third, ninth] = [
    { dataset_id, row: 3, slices: ['de'] },
    { dataset_id, row: 9, slices: [] },
  ];
  const url = `${versionUrl}/negative-flips`;
  expect(await get(url)).toEqual({ status: 200, body: { data: [third, ninth], next_cursor: null } });
  const first = await get(`${url}?limit=1`);
  expect(first.body).toEqual({ data: [third], next_cursor: expect.any(String) });
  const second = await get(`${url}?limit=1&cursor=${first.body.next_cursor}`);
  expect(second.body).toEqual({ data: [ninth], next_cursor: null });
  expect(await get(`${url}?cursor=%20`)).toMatchObject({ status: 400, body: { code: 'invalid_cursor' } });
});

test('they are none of an imported version, and those of another tenant are not found', async () => {
  const imported = await app.db.adapterVersion.findFirstOrThrow({ where: { origin: 'imported' } });
  const url = `/v1/adapters/${fleet.adapters[0]!}/versions/${imported.id}/negative-flips`;
  expect((await get(url)).body).toEqual({ data: [], next_cursor: null });
  const other = await createTestTenant(app.db, 'other');
  expect(await get(`${versionUrl}/negative-flips`, other.key)).toMatchObject({ status: 404 });
});

test('the job and the version say how the critical slices are', async () => {
  const slice = {
    ...{ name: 'de', margin: 0.1, certify: false, verdict: 'inconclusive', rows: 20, value: 0.75, old: 0.8 },
    ...{ bound: 0.5, rows_needed: 200 },
  };
  const { body: version } = await get(versionUrl);
  expect(version.metrics.certificate).toMatchObject({ verdict: 'passed', slices: [slice] });
  const job = await eventually('the job is ready', () => app.db.job.findFirst({ where: { state: 'ready' } }));
  expect((await get(`/v1/jobs/${job.id}`)).body.certificate).toMatchObject({ slices: [slice] });
});

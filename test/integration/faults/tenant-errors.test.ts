import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createQueueBackend } from '../../../src/platform/queue/index.ts';
import { loadConfig } from '../../../src/platform/config/config.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { createRollout, createRolloutLifecycle, type StoredOptions } from '../../../src/fleet/rollouts/index.ts';
import { startWorker, type RunningWorker } from '../../../workers/start/start-worker.ts';
import { createTinyFamily, removeTinyFamily, type TinyFamily } from '../../unit/training/support/tiny-task.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { eventually } from '../../eventually.ts';
import { logger } from '../queue/test-queue.ts';
import { createTestApp, createTestKey, type TestApp } from '../support/index.ts';

interface Shown {
  error: { code: string; message: string; detail?: string | null } | null;
}

let api: TestApp;
let fleet: Fleet;
let family: TinyFamily;
let worker: RunningWorker;
let tenantKey: string;

beforeAll(async () => {
  api = await createTestApp();
  family = await createTinyFamily();
  fleet = await createFleet(api.db, { tenants: 1, adapters: 1 });
  tenantKey = await createTestKey(api.db, { tenantId: fleet.tenants[0]! });
});
afterAll(async () => {
  await worker.stop();
  await fleet.remove();
  await removeTinyFamily(family);
  await api.close();
});

async function get<T = Shown>(url: string, key: string): Promise<T> {
  const answer = await api.request({ method: 'GET', url, key });
  expect(answer.statusCode).toBe(200);
  return answer.json<T>();
}

const dataDir = () => path.join(fleet.folder, 'data');

/** Everything that a tenant can read about what happened. */
async function tenantReads(): Promise<string> {
  const urls = ['/v1/jobs', '/v1/rollouts', '/v1/events', '/v1/adapters', '/v1/datasets'];
  const models = await get<{ data: { id: string }[] }>('/v1/base-models', tenantKey);
  const all = [...urls, ...models.data.map(({ id }) => `/v1/base-models/${id}/versions`)];
  return JSON.stringify(await Promise.all(all.map((url) => get<object>(url, tenantKey))));
}

test('a tenant reads a code and a message of the service, and the operator reads what has happened', async () => {
  const { db, database } = api;
  const baseModelVersionId = fleet.newVersionId;
  const { rollout } = await withTransaction(db, (tx) => createRollout(tx, { baseModelVersionId, options: {} }));
  const lifecycle = createRolloutLifecycle({ db });
  const { options } = (await lifecycle.beginAnalysis(rollout.id))!;
  await lifecycle.plan({ id: rollout.id, baseModelVersionId, options: options as StoredOptions }, new Map());
  const { id } = await db.job.findFirstOrThrow();
  // A file is in place of the job's folder, an error that nobody has foreseen.
  const inTheWay = path.join(dataDir(), 'checkpoints', id);
  await mkdir(path.dirname(inTheWay), { recursive: true });
  await writeFile(inTheWay, '');
  const config = loadConfig({ READAPT_DATA_DIR: dataDir(), DATABASE_URL: database.url });
  const backend = createQueueBackend({ databaseUrl: database.url, redisUrl: null });
  worker = await startWorker(config, { db, artifacts: fleet.artifacts, backend, logger }, { sweepMs: 300 });
  const url = `/v1/jobs/${id}`;
  // Each attempt begins without an error.
  const errorFor = (key: string) => eventually('the job says why it failed', async () => (await get(url, key)).error);
  const shown = await errorFor(tenantKey);
  expect(shown).toEqual({
    code: 'internal_error',
    message: 'the service has failed at this; its operator can see the cause',
  });
  const whole = await errorFor(api.operatorKey);
  expect(whole).toMatchObject(shown);
  expect(whole.detail).toContain(`EEXIST: file already exists, mkdir '${inTheWay}'`);
  expect(await tenantReads()).not.toContain(fleet.folder);
});

test('a base model version that lacks a file fails its rollout, and only the operator reads its path', async () => {
  const { db } = api;
  const version = { baseModelId: fleet.baseModelId, servingName: 'served/v3' };
  const id = newId('baseModelVersion');
  await rm(path.join(family.newBase, 'model.safetensors'));
  const index = JSON.stringify({ weight_map: { 'model.norm.weight': 'model-1.safetensors' } });
  await writeFile(path.join(family.newBase, 'model.safetensors.index.json'), index);
  await db.baseModelVersion.create({ data: { ...version, id, version: 'v3', path: family.newBase } });
  const created = await api.request({ method: 'POST', url: '/v1/rollouts', payload: { base_model_version_id: id } });
  expect(created.statusCode).toBe(202);
  const rollout = `/v1/rollouts/${created.json<{ id: string }>().id}`;
  await eventually(
    'the rollout failed',
    async () => (await get<{ state: string }>(rollout, tenantKey)).state === 'failed',
  );
  for (const url of [rollout, `/v1/base-model-versions/${id}`]) {
    const { error } = await get(url, tenantKey);
    expect(error).toMatchObject({ code: 'missing_file' });
    expect(error!.message).toMatch(/^base model version v3: [^/]+$/);
    expect(error).not.toHaveProperty('detail');
    const whole = (await get(url, api.operatorKey)).error!;
    expect(whole.detail).toContain(`model-1.safetensors: file is missing from ${family.newBase}`);
  }
  expect(await tenantReads()).not.toContain(family.folder);
});

test('a stored message that names something internal is cut for tenants', async () => {
  const { id } = await api.db.job.findFirstOrThrow();
  const old = { code: 'ENOENT', message: "ENOENT: no such file or directory, open '/srv/readapt/checkpoints/x'" };
  await worker.stop();
  await api.db.job.update({ where: { id }, data: { error: old } });
  expect((await get(`/v1/jobs/${id}`, api.operatorKey)).error).toEqual(old);
  expect((await get(`/v1/jobs/${id}`, tenantKey)).error!.message).not.toContain('/srv');
  const written = { code: 'gate_not_reached', message: 'no candidate was measured, expected accuracy at least 0.8' };
  await api.db.job.update({ where: { id }, data: { error: written } });
  expect((await get(`/v1/jobs/${id}`, tenantKey)).error).toEqual(written);
});

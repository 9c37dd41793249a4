import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { withTransaction, type Database } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { findAdapterRow, insertAdapterVersion } from '../../../src/fleet/adapters/adapter.repository.ts';
import { createJobLifecycle } from '../../../src/fleet/job-control/job-lifecycle.ts';
import { createRollout, createRolloutLifecycle, type StoredOptions } from '../../../src/fleet/rollouts/index.ts';
import { adaptationRepository } from '../../../workers/adaptations/adaptation.repository.ts';
import { publishCandidate } from '../../../workers/adaptations/publication.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { planEntries } from '../queue/plan-entries.ts';
import { createTestDatabase, type TestDatabase } from '../support/index.ts';

let database: TestDatabase;
let db: Database;
let fleet: Fleet;
/** Identifier of the fleet's only adapter. */
let adapterId: string;
let thirdVersionId: string;

beforeAll(async () => {
  database = await createTestDatabase();
  db = database.db;
});
beforeEach(async () => {
  fleet = await createFleet(db, { tenants: 1, adapters: 1 });
  adapterId = fleet.adapters[0]!;
  thirdVersionId = newId('baseModelVersion');
  const { baseModelId } = fleet;
  await db.baseModelVersion.create({
    data: { id: thirdVersionId, baseModelId, version: 'v3', path: fleet.folder, servingName: 'served/v3' },
  });
});
afterEach(() => fleet.remove());
afterAll(() => database.close());

/**
 * Plans a rollout to a base model version. Rollouts to older versions are planned after those to newer ones here; the
 * other way around, the newer one would supersede the older.
 * @returns the adapter's job, if it has one
 */
async function plan(baseModelVersionId: string): Promise<string | undefined> {
  const lifecycle = createRolloutLifecycle({ db });
  const { rollout } = await withTransaction(db, (tx) => createRollout(tx, { baseModelVersionId, options: {} }));
  const { options } = (await lifecycle.beginAnalysis(rollout.id))!;
  const request = { id: rollout.id, baseModelVersionId, options: options as StoredOptions };
  return (await planEntries(lifecycle, request))![0]?.id;
}

/** Runs a job with one publication to its end, like a worker. @returns the identifier of the version */
async function publish(jobId: string): Promise<string> {
  const lifecycle = createJobLifecycle({ db });
  const lease = { jobId, owner: newId('job') };
  await lifecycle.claim(lease);
  const job = (await adaptationRepository.load(db, jobId))!;
  const folder = path.join(fleet.folder, `candidate-${jobId}`);
  await mkdir(folder);
  const config = { peft_type: 'LORA', r: 4, lora_alpha: 8, target_modules: ['q_proj'] };
  await writeFile(path.join(folder, 'adapter_config.json'), JSON.stringify(config));
  await writeFile(path.join(folder, 'job.txt'), jobId);
  const candidate = {
    id: 'copy',
    rung: 'copy',
    strategy: 'reuse',
    alpha: 1,
    beta: 0,
    step: 0,
    metric: { name: 'accuracy', value: 0.9, standardError: 0.01, rows: 100 },
    verdict: 'passed',
    certificate: null,
    needed: 0.8,
    bound: null,
    negativeFlips: null,
    failed: [],
    searchLoss: null,
    elapsedMs: 1,
  } as const;
  const outcomes = { digest: `sha256:${'1'.repeat(64)}`, value: 0.9, standardError: 0.01, values: [1] };
  const versionId = await publishCandidate(
    { db, artifacts: fleet.artifacts, lifecycle, lease, job, anchor: null },
    { type: 'publication', number: 1, folder, candidate, rows: 'training', outcomes, slices: {}, flips: [] },
  );
  await lifecycle.end(lease, job.rolloutId, { state: 'ready' });
  return versionId;
}

async function importVersion(baseModelVersionId: string): Promise<string> {
  const first = await db.adapterVersion.findFirstOrThrow({ where: { adapterId } });
  const { tenantId, artifactDigest, rank, loraAlpha } = first;
  const id = newId('adapterVersion');
  const row = { id, tenantId, adapterId, baseModelVersionId, origin: 'imported', artifactDigest, rank, loraAlpha };
  await withTransaction(db, (tx) => insertAdapterVersion(tx, row));
  return id;
}

const latest = async () => (await findAdapterRow(db, adapterId, null))?.versions[0]?.id;

test('a job to an older base that publishes late is not the latest version', async () => {
  const toThird = await plan(thirdVersionId);
  const toSecond = await plan(fleet.newVersionId);
  const onThird = await publish(toThird!);
  expect(await latest()).toBe(onThird);
  const onSecond = await publish(toSecond!);
  expect(await latest()).toBe(onThird);
  expect(await db.adapterVersion.findUnique({ where: { id: onSecond } })).toMatchObject({
    number: 3,
    baseModelVersionId: fleet.newVersionId,
  });
});

test('the next rollout starts from the version on the newest base', async () => {
  const toThird = await plan(thirdVersionId);
  const toSecond = await plan(fleet.newVersionId);
  const onThird = await publish(toThird!);
  await publish(toSecond!);
  const fourth = newId('baseModelVersion');
  const { baseModelId, folder } = fleet;
  await db.baseModelVersion.create({
    data: { id: fourth, baseModelId, version: 'v4', path: folder, servingName: 'served/v4' },
  });
  const next = await plan(fourth);
  expect(await db.job.findUnique({ where: { id: next } })).toMatchObject({ sourceVersionId: onThird });
});

test('two late jobs in either order leave the newest base on top', async () => {
  const [toThird, toSecond] = [await plan(thirdVersionId), await plan(fleet.newVersionId)];
  const onSecond = await publish(toSecond!);
  expect(await latest()).toBe(onSecond);
  const onThird = await publish(toThird!);
  expect(await latest()).toBe(onThird);
});

const IMPORT_IS_LATEST =
  'a version that the tenant imports is the latest, also above a newer base, and old work does not hide it';
test(IMPORT_IS_LATEST, async () => {
  const onThird = await publish((await plan(thirdVersionId))!);
  const toSecond = await plan(fleet.newVersionId);
  expect(await latest()).toBe(onThird);
  const imported = await importVersion(fleet.oldVersionId);
  expect(await latest()).toBe(imported);
  await publish(toSecond!);
  expect(await latest()).toBe(imported);
});

test('what is carried over from that import is the latest again', async () => {
  await publish((await plan(thirdVersionId))!);
  await importVersion(fleet.oldVersionId);
  const onSecond = await publish((await plan(fleet.newVersionId))!);
  expect(await latest()).toBe(onSecond);
});

test('a provisional version for a newer base hides nothing that is published for an older one', async () => {
  const toSecond = await plan(fleet.newVersionId);
  const [imported] = await db.adapterVersion.findMany({ where: { adapterId } });
  const { id: parentVersionId, tenantId, artifactDigest, rank, loraAlpha } = imported!;
  const row = { tenantId, adapterId, baseModelVersionId: thirdVersionId, parentVersionId, artifactDigest };
  const made = { ...row, id: newId('adapterVersion'), origin: 'adapted', provisional: true, rank, loraAlpha };
  await withTransaction(db, (tx) => insertAdapterVersion(tx, made));
  expect(await latest()).toBe(parentVersionId);
  const onSecond = await publish(toSecond!);
  expect(await latest()).toBe(onSecond);
  const next = await plan(thirdVersionId);
  expect(await db.job.findUnique({ where: { id: next } })).toMatchObject({ sourceVersionId: onSecond });
});

import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { applyMigrations } from '../../../src/platform/database/migrations.ts';
import { createTestDatabase, type TestDatabase } from '../support/index.ts';

const DIGEST = `sha256:${'0'.repeat(64)}`;

/** Rows as written by version 0.1. */
const OLD_ROWS = `
INSERT INTO tenants (id, name) VALUES ('t', 'acme');
INSERT INTO tenants (id, name) VALUES ('u', 'newcomer');
INSERT INTO artifacts (digest, kind, bytes) VALUES ('${DIGEST}', 'adapter', 40);
INSERT INTO base_models (id, name) VALUES ('m', 'llama');
INSERT INTO base_versions (id, base_model_id, version, path, state, error) VALUES
  ('v1', 'm', '1', '/v1', 'verified', NULL),
  ('v2', 'm', '2', '/v2', 'failed', '{"code": "base_version_changed", "message": "x", "base_version_id": "v2"}');
INSERT INTO evolutions (id, from_version_id, to_version_id, state) VALUES ('e', 'v1', 'v2', 'ready');
INSERT INTO datasets (id, tenant_id, name, artifact_digest, rows, bytes, splits)
  VALUES ('d', 't', 'rows', 'x', 6, 9, '{"train": 3, "validation": 2, "test": 1}');
INSERT INTO adapters (id, tenant_id, base_model_id, dataset_id, name, metric, gate)
  VALUES ('a', 't', 'm', 'd', 'topics', 'accuracy', '{"kind": "absolute", "target": 0.8}');
INSERT INTO adapter_versions (id, tenant_id, adapter_id, base_version_id, number, origin, artifact_digest, rank, alpha)
  VALUES ('av', 't', 'a', 'v1', 1, 'imported', '${DIGEST}', 4, 8);
INSERT INTO rollouts (id, base_version_id, state, options, error) VALUES
  ('r1', 'v2', 'completed', '{"strategy": "auto", "prefer": "old_behaviour", "regularise_strength": 2, "seed": 1}',
    NULL),
  ('r2', 'v2', 'failed', '{"strategy": "auto"}', '{"code": "incompatible_base", "message": "x", "differences": []}');
INSERT INTO jobs (id, tenant_id, rollout_id, adapter_id, source_version_id, state, strategy, metric_name,
  metric_no_adapter, error)
  VALUES ('j', 't', 'r1', 'a', 'av', 'not_ready', 'auto', 'accuracy', 0.25,
    '{"code": "gate_not_reached", "message": "x"}');
INSERT INTO search_evaluations (job_id, index, tenant_id, alpha, beta, rows, metric, loss, duration_ms)
  VALUES ('j', 0, 't', 1, -0.5, 16, 'loss', 0.4, 3);
INSERT INTO events (id, type, subject_id, data) VALUES
  ('e1', 'base_model_version.registered', 'v2', '{"base_model": "llama", "version": "2"}'),
  ('e2', 'base_version.verified', 'v1', '{"fingerprint": "x"}'),
  ('e3', 'base_version.failed', 'v2',
    '{"error": {"code": "base_version_changed", "message": "x", "base_version_id": "v2"}}'),
  ('e4', 'evolution.ready', 'e', '{"from_version_id": "v1", "to_version_id": "v2", "drift": 0.1}'),
  ('e5', 'rollout.accepted', 'r1', '{"base_version_id": "v2"}'),
  ('e6', 'adapter_version.imported', 'av', '{"rank": 4, "alpha": 8, "targets": ["q_proj"]}'),
  ('e7', 'job.ready', 'j', '{"from": "evaluating", "version_id": "av"}');
`;

let database: TestDatabase;
let folder: string;

/** Creates a database whose rows were written before a migration and which has all migrations applied. */
async function migratedFrom(migration: string, rows: string): Promise<TestDatabase> {
  const made = await createTestDatabase({ empty: true });
  const earlier = path.join(folder, migration);
  await cp('prisma/migrations', earlier, { recursive: true });
  const later = (await readdir(earlier)).filter((name) => name >= migration && /^\d/.test(name));
  await Promise.all(later.map((name) => rm(path.join(earlier, name), { recursive: true })));
  await applyMigrations(made.url, earlier);
  const client = new pg.Client({ connectionString: made.url });
  await client.connect();
  await client.query(rows);
  await client.end();
  await applyMigrations(made.url);
  return made;
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-migrations-'));
  database = await migratedFrom('20261126000000_vocabulary', OLD_ROWS);
});
afterAll(async () => {
  await database.close();
  await rm(folder, { recursive: true, force: true });
});

test('the migration to the vocabulary of 0.2 keeps columns and their values', async () => {
  const { db } = database;
  expect(await db.evolution.findMany()).toMatchObject([{ oldBaseModelVersionId: 'v1', newBaseModelVersionId: 'v2' }]);
  expect(await db.adapterVersion.findMany()).toMatchObject([{ baseModelVersionId: 'v1', loraAlpha: 8 }]);
  expect(await db.searchEvaluation.findMany()).toMatchObject([{ fusionAlpha: 1, fusionBeta: -0.5, rows: 16 }]);
  expect(await db.job.findMany()).toMatchObject([{ state: 'not_ready', metricNone: 0.25 }]);
});

test('what tenants have is counted for their quotas', async () => {
  expect(await database.db.adapterVersion.findMany()).toMatchObject([{ bytes: 40n }]);
  expect(await database.db.tenantUsage.findMany({ orderBy: { tenantId: 'asc' } })).toEqual([
    { tenantId: 't', adapters: 1n, datasetRows: 6n, storedBytes: 49n },
    { tenantId: 'u', adapters: 0n, datasetRows: 0n, storedBytes: 0n },
  ]);
  await database.db.tenant.delete({ where: { id: 'u' } });
});

test('it renames the members of stored JSON', async () => {
  const { db } = database;
  expect((await db.dataset.findMany())[0]!.splits).toEqual({ training: 3, search: 2, gate: 1 });
  const [first, second] = await db.rollout.findMany({ orderBy: { id: 'asc' } });
  expect(first).toMatchObject({ state: 'completed', baseModelVersionId: 'v2', error: null });
  expect(first!.options).toEqual({ strategy: 'auto', prefer: 'old_behavior', regularize_strength: 2, seed: 1 });
  expect(second!.options).toEqual({ strategy: 'auto' });
  expect(second!.error).toEqual({ code: 'incompatible_base_model_versions', message: 'x', differences: [] });
  expect((await db.job.findMany())[0]!.error).toEqual({ code: 'gate_not_reached', message: 'x' });
});

test('it renames event types and the members of their data', async () => {
  const problem = { code: 'base_model_version_changed', message: 'x', base_model_version_id: 'v2' };
  const events = await database.db.event.findMany({ orderBy: { seq: 'asc' } });
  expect(events.map(({ type, data }) => [type, data])).toEqual([
    ['base_model_version.registered', { base_model_name: 'llama', version: '2' }],
    ['base_model_version.verified', { fingerprint: 'x' }],
    ['base_model_version.failed', { error: problem }],
    ['evolution.ready', { old_base_model_version_id: 'v1', new_base_model_version_id: 'v2', drift: 0.1 }],
    ['rollout.accepted', { base_model_version_id: 'v2' }],
    ['adapter_version.imported', { rank: 4, lora_alpha: 8, targets: ['q_proj'] }],
    ['job.ready', { from: 'evaluating', published_version_id: 'av' }],
  ]);
  expect((await database.db.baseModelVersion.findMany({ orderBy: { id: 'asc' } })).map(({ error }) => error)).toEqual([
    null,
    problem,
  ]);
});

test('a version that was registered without a serving name is served by its folder', async () => {
  const versions = await database.db.baseModelVersion.findMany({ orderBy: { id: 'asc' } });
  expect(versions.map(({ path: folder, servingName }) => [folder, servingName])).toEqual([
    ['/v1', '/v1'],
    ['/v2', '/v2'],
  ]);
});

const SERVED_VERSIONS =
  'what should be served is the newest version of each base, also of one that a version before this publishes';
test(SERVED_VERSIONS, async () => {
  const version = ([id, base, parent]: readonly [string, string, string | null], number: number, mark = '') =>
    `('${id}', 't', 'a', '${base}', ${parent === null ? 'NULL' : `'${parent}'`}, ${number},
      '${parent === null ? 'imported' : 'adapted'}', 'x', 4, 8,
      ${mark === 'deleted' ? 'now()' : 'NULL'}, ${mark === 'late'})`;
  const insert = (versions: string[]) =>
    `INSERT INTO adapter_versions (id, tenant_id, adapter_id, base_model_version_id, parent_version_id, number, origin,
       artifact_digest, rank, lora_alpha, deleted_at, superseded) VALUES ${versions.join()}`;
  const made = await migratedFrom(
    '20261127150000_current_versions',
    `INSERT INTO tenants (id, name) VALUES ('t', 'acme');
     INSERT INTO base_models (id, name) VALUES ('m', 'llama');
     INSERT INTO base_model_versions (id, base_model_id, version, path, serving_name)
     SELECT v, 'm', v, '/v', '/v' FROM unnest('{v1,v2,v3,v4}'::text[]) AS v;
     INSERT INTO adapters (id, tenant_id, base_model_id, name, metric, gate)
       VALUES ('a', 't', 'm', 'topics', 'accuracy', '{}');
     ${insert([
       version(['i1', 'v1', null], 1),
       version(['i2', 'v1', null], 2),
       version(['on2', 'v2', 'i2'], 3),
       version(['late2', 'v2', 'i1'], 4, 'late'),
       version(['on3', 'v3', 'on2'], 5, 'deleted'),
     ])}`,
  );
  try {
    const { db } = made;
    const current = async () =>
      Object.fromEntries(
        (await db.currentVersion.findMany()).map((row) => [
          row.baseModelVersionId,
          [row.adapterVersionId, row.previousVersionId],
        ]),
      );
    expect(await current()).toEqual({ v1: ['i2', 'i1'], v2: ['on2', null] });
    // A worker and an API of the previous version publish and delete.
    await db.$executeRawUnsafe(insert([version(['on4', 'v4', 'on2'], 6), version(['later2', 'v2', 'i1'], 7)]));
    expect(await current()).toMatchObject({ v2: ['on2', null], v4: ['on4', null] });
    await db.$executeRawUnsafe(insert([version(['i3', 'v2', null], 8)]));
    expect(await current()).toMatchObject({ v2: ['i3', 'on2'] });
    await db.$executeRawUnsafe(`UPDATE adapter_versions SET deleted_at = now() WHERE id = 'i2'`);
    expect(await current()).toMatchObject({ v1: [null, null], v2: ['i3', 'on2'] });
  } finally {
    await made.close();
  }
});

test('versions get the import that they come from as their anchor, whose results are kept', async () => {
  const digest = (digit: number) => `'sha256:${String(digit).repeat(64)}'`;
  const version = (id: string, parent: string | null, number: number) =>
    `('${id}', 't', 'a', 'v1', ${parent === null ? 'NULL' : `'${parent}'`}, ${number},
     '${parent === null ? 'imported' : 'adapted'}', 'x', 4, 8)`;
  const versions = [
    version('i1', null, 1),
    version('c1', 'i1', 2),
    version('c2', 'c1', 3),
    version('i2', null, 4),
    version('c3', 'i2', 5),
  ];
  const outcomes = (id: string, digit: number) => `('${id}', 't', ${digest(digit)}, 0.${digit}, 0.1, '{1,0}')`;
  const made = await migratedFrom(
    '20261127090000_anchor_outcomes',
    `INSERT INTO tenants (id, name) VALUES ('t', 'acme');
     INSERT INTO base_models (id, name) VALUES ('m', 'llama');
     INSERT INTO base_model_versions (id, base_model_id, version, path, serving_name)
       VALUES ('v1', 'm', '1', '/v1', '/v1');
     INSERT INTO adapters (id, tenant_id, base_model_id, name, metric, gate)
       VALUES ('a', 't', 'm', 'topics', 'accuracy', '{}');
     INSERT INTO adapter_versions (id, tenant_id, adapter_id, base_model_version_id, parent_version_id, number, origin,
       artifact_digest, rank, lora_alpha)
     VALUES ${versions.join()};
     INSERT INTO gate_outcomes (adapter_version_id, tenant_id, digest, value, standard_error, values)
     VALUES ${[outcomes('i1', 1), outcomes('c2', 2), outcomes('c3', 3)].join()}`,
  );
  try {
    const { db } = made;
    const anchors = async () =>
      Object.fromEntries((await db.adapterVersion.findMany()).map(({ id, anchorVersionId }) => [id, anchorVersionId]));
    expect(await anchors()).toEqual({ i1: 'i1', c1: 'i1', c2: 'i1', i2: 'i2', c3: 'i2' });
    const kept = () => db.anchorOutcomes.findMany({ orderBy: { anchorVersionId: 'asc' } });
    expect(await kept()).toMatchObject([
      { anchorVersionId: 'i1', adapterId: 'a', number: 1, value: 0.1, values: [1, 0] },
    ]);
    // A previous version without anchors publishes and measures.
    await db.$executeRawUnsafe(
      `INSERT INTO adapter_versions (id, tenant_id, adapter_id, base_model_version_id, parent_version_id, number,
       origin,
         artifact_digest, rank, lora_alpha)
       VALUES ${[version('c4', 'c3', 6), version('i3', null, 7)].join()}`,
    );
    expect(await anchors()).toMatchObject({ c4: 'i2', i3: 'i3' });
    await db.$executeRawUnsafe(
      `INSERT INTO gate_outcomes (adapter_version_id, tenant_id, digest, value, standard_error, values)
       VALUES ${[outcomes('i2', 4), outcomes('c4', 5)].join()}`,
    );
    await db.gateOutcomes.update({ where: { adapterVersionId: 'i1' }, data: { value: 0.6 } });
    expect((await kept()).map(({ anchorVersionId, value }) => [anchorVersionId, value])).toEqual([
      ['i1', 0.6],
      ['i2', 0.4],
    ]);
    await db.adapterVersion.delete({ where: { id: 'i2' } });
    expect((await kept()).map(({ anchorVersionId }) => anchorVersionId)).toEqual(['i1', 'i2']);
    expect(await anchors()).toMatchObject({ c3: 'i2', c4: 'i2' });
    await db.adapterVersion.deleteMany();
    await db.adapter.delete({ where: { id: 'a' } });
    expect(await kept()).toEqual([]);
  } finally {
    await made.close();
  }
});

test('a rollout that goes on has all of its events, also those that a version before this one records', async () => {
  const event = (id: string, type: string, subject: string, data = '{}') =>
    `('${id}', '${type}', '${subject}', '${data}')`;
  const insert = (...events: string[]) => `INSERT INTO events (id, type, subject_id, data) VALUES ${events.join()}`;
  const made = await migratedFrom(
    '20261127230000_event_rollouts',
    `INSERT INTO tenants (id, name) VALUES ('t', 'acme');
     INSERT INTO base_models (id, name) VALUES ('m', 'llama');
     INSERT INTO base_model_versions (id, base_model_id, version, path, serving_name)
       VALUES ('v', 'm', '1', '/v', '/v');
     INSERT INTO adapters (id, tenant_id, base_model_id, name, metric, gate)
       VALUES ('a', 't', 'm', 'topics', 'accuracy', '{}');
     INSERT INTO rollouts (id, base_model_version_id, state, options, finished_at)
     VALUES ('live', 'v', 'adapting', '{}', NULL), ('ended', 'v', 'completed', '{}', now());
     INSERT INTO jobs (id, tenant_id, rollout_id, adapter_id, state, strategy, metric_name)
     SELECT 'job-' || r, 't', r, 'a', 'queued', 'auto', 'accuracy' FROM unnest('{live,ended}'::text[]) AS r;
     ${insert(
       ...['live', 'ended'].flatMap((id) => [
         event(`1-${id}`, 'rollout.accepted', id),
         event(`2-${id}`, 'job.ready', `job-${id}`),
       ]),
       event('3', 'adapter.created', 'a'),
     )}`,
  );
  try {
    await made.db.$executeRawUnsafe(
      insert(event('4', 'job.ready', 'job-live', '{"rollout_id": "live"}'), event('5', 'rollout.completed', 'ended')),
    );
    const events = await made.db.event.findMany({ orderBy: { seq: 'asc' } });
    expect(Object.fromEntries(events.map(({ id, rolloutId }) => [id, rolloutId]))).toEqual({
      '1-live': 'live',
      '2-live': 'live',
      '1-ended': null,
      '2-ended': null,
      '3': null,
      '4': 'live',
      '5': 'ended',
    });
  } finally {
    await made.close();
  }
});

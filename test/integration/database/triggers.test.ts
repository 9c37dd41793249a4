import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/index.ts';

let database: TestDatabase;

beforeEach(async () => {
  database = await createTestDatabase();
  await run(`
    INSERT INTO tenants (id, name) VALUES ('t', 'acme');
    INSERT INTO base_models (id, name) VALUES ('m', 'llama');
    INSERT INTO base_model_versions (id, base_model_id, version, path, serving_name)
    SELECT v, 'm', v, '/v', '/v' FROM unnest('{v1,v2,v3,v4}'::text[]) AS v;
    INSERT INTO adapters (id, tenant_id, base_model_id, name, metric, gate)
    VALUES ('a', 't', 'm', 'topics', 'accuracy', '{}')`);
});
afterEach(() => database.close());

async function run(sql: string): Promise<void> {
  for (const statement of sql.split(';')) await database.db.$executeRawUnsafe(statement);
}

interface Version {
  readonly id: string;
  readonly number: number;
  readonly base?: string;
  readonly parent?: string;
  readonly mark?: 'deleted' | 'late';
}

/** Publishes versions of the adapter, which count as imported if they have no parent. */
function publish(...versions: Version[]): Promise<void> {
  const rows = versions.map(({ id, number, base = 'v1', parent, mark }) => {
    const from = parent === undefined ? 'NULL' : `'${parent}'`;
    const origin = parent === undefined ? 'imported' : 'adapted';
    const deletedAt = mark === 'deleted' ? 'now()' : 'NULL';
    const superseded = mark === 'late';
    return `('${id}', 't', 'a', '${base}', ${from}, ${number}, '${origin}', 'x', 4, 8, ${deletedAt}, ${superseded})`;
  });
  return run(
    `INSERT INTO adapter_versions (id, tenant_id, adapter_id, base_model_version_id, parent_version_id, number, origin,
       artifact_digest, rank, lora_alpha, deleted_at, superseded) VALUES ${rows.join()}`,
  );
}

test('the newest version on each base is current, unless it comes from an earlier one or is deleted', async () => {
  const { db } = database;
  const current = async () =>
    Object.fromEntries(
      (await db.currentVersion.findMany()).map((row) => [
        row.baseModelVersionId,
        [row.adapterVersionId, row.previousVersionId],
      ]),
    );
  await publish({ id: 'i1', number: 1 });
  await publish({ id: 'i2', number: 2 });
  await publish({ id: 'on2', number: 3, base: 'v2', parent: 'i2' });
  await publish({ id: 'late2', number: 4, base: 'v2', parent: 'i1', mark: 'late' });
  await publish({ id: 'on3', number: 5, base: 'v3', parent: 'on2', mark: 'deleted' });
  expect(await current()).toEqual({ v1: ['i2', 'i1'], v2: ['on2', null] });
  await publish(
    { id: 'on4', number: 6, base: 'v4', parent: 'on2' },
    { id: 'later2', number: 7, base: 'v2', parent: 'i1' },
  );
  expect(await current()).toMatchObject({ v2: ['on2', null], v4: ['on4', null] });
  await publish({ id: 'i3', number: 8, base: 'v2' });
  expect(await current()).toMatchObject({ v2: ['i3', 'on2'] });
  await run(`UPDATE adapter_versions SET deleted_at = now() WHERE id = 'i2'`);
  expect(await current()).toMatchObject({ v1: [null, null], v2: ['i3', 'on2'] });
});

test('versions get the import that they come from as their anchor, whose results are kept', async () => {
  const { db } = database;
  const measure = (...results: (readonly [id: string, digit: number])[]) => {
    const rows = results.map(
      ([id, n]) => `('${id}', 't', 'sha256:${String(n).repeat(64)}', 0.${n}, 0.1, '{1,0}', '[${n}]')`,
    );
    return run(
      `INSERT INTO gate_outcomes (adapter_version_id, tenant_id, digest, value, standard_error, values, watched)
       VALUES ${rows.join()}`,
    );
  };
  const anchors = async () =>
    Object.fromEntries((await db.adapterVersion.findMany()).map(({ id, anchorVersionId }) => [id, anchorVersionId]));
  const kept = () => db.anchorOutcomes.findMany({ orderBy: { anchorVersionId: 'asc' } });
  await publish({ id: 'i1', number: 1 });
  await publish({ id: 'c1', number: 2, parent: 'i1' });
  await publish({ id: 'c2', number: 3, parent: 'c1' }, { id: 'i2', number: 4 });
  await publish({ id: 'c3', number: 5, parent: 'i2' });
  expect(await anchors()).toEqual({ i1: 'i1', c1: 'i1', c2: 'i1', i2: 'i2', c3: 'i2' });
  await measure(['i1', 1], ['c2', 2], ['c3', 3]);
  expect(await kept()).toMatchObject([
    { anchorVersionId: 'i1', adapterId: 'a', number: 1, value: 0.1, values: [1, 0], watched: [1] },
  ]);
  await measure(['i2', 4]);
  await db.gateOutcomes.update({ where: { adapterVersionId: 'i1' }, data: { value: 0.6, watched: [6] } });
  expect((await kept()).map(({ anchorVersionId, value, watched }) => [anchorVersionId, value, watched])).toEqual([
    ['i1', 0.6, [6]],
    ['i2', 0.4, [4]],
  ]);
  await db.adapterVersion.delete({ where: { id: 'i2' } });
  expect((await kept()).map(({ anchorVersionId }) => anchorVersionId)).toEqual(['i1', 'i2']);
  expect(await anchors()).toMatchObject({ c3: 'i2' });
  await db.adapterVersion.deleteMany();
  await db.adapter.delete({ where: { id: 'a' } });
  expect(await kept()).toEqual([]);
});

test('events of a rollout and of its jobs name the rollout', async () => {
  await run(`
    INSERT INTO events (id, type, subject_id, data) VALUES
      ('1', 'rollout.accepted', 'r', '{}'),
      ('2', 'job.ready', 'j', '{"rollout_id": "r"}'),
      ('3', 'adapter.created', 'a', '{}')`);
  const events = await database.db.event.findMany({ orderBy: { seq: 'asc' } });
  expect(events.map(({ rolloutId }) => rolloutId)).toEqual(['r', 'r', null]);
  // The catalog describes other data than those of this test.
  await run('DELETE FROM events');
});

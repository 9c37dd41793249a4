import { chmod, mkdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { registerArtifact } from '../../../src/platform/artifacts/index.ts';
import { examine, type ExaminationOptions } from '../../../src/operations/doctor/doctor.ts';
import type { Finding } from '../../../src/operations/doctor/findings.ts';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestDatabase, type TestDatabase } from '../support/index.ts';

const LONG_AGO = new Date(Date.now() - 2 * 3_600_000);

let database: TestDatabase;
let fleet: Fleet;
let version: { id: string; adapterId: string; artifactDigest: string };

beforeEach(async () => {
  database = await createTestDatabase();
  fleet = await createFleet(database.db, { tenants: 1, adapters: 1 });
  const config = { architectures: ['LlamaForCausalLM'], model_type: 'llama', hidden_size: 8, intermediate_size: 8 };
  const sizes = { num_hidden_layers: 1, num_attention_heads: 2, vocab_size: 8, rms_norm_eps: 1e-6 };
  for (const base of ['v1', 'v2']) {
    await writeFile(path.join(fleet.folder, base, 'config.json'), JSON.stringify({ ...config, ...sizes }));
  }
  version = await database.db.adapterVersion.findFirstOrThrow();
});
afterEach(async () => {
  await database.close();
  await fleet.remove();
});

async function examined(options: Partial<ExaminationOptions> = {}): Promise<Finding[]> {
  const found: Finding[] = [];
  for await (const one of examine({ db: database.db, artifacts: fleet.artifacts, ...options })) found.push(one);
  return found;
}
const kinds = (findings: readonly Finding[]) => findings.map(({ kind }) => kind);
const current = () => database.db.currentVersion.findFirstOrThrow({ where: { adapterId: version.adapterId } });

test('finds nothing in a fleet where nothing is wrong', async () => {
  expect(await examined({ verify: true })).toEqual([]);
});

test('a version whose files are gone is made not current, with an event and an audit entry', async () => {
  await fleet.artifacts.remove(version.artifactDigest);
  const seen = await examined();
  expect(kinds(seen)).toEqual(['current_version_gone', 'version_gone']);
  expect(seen[0]!.message).toContain(version.id);
  expect((await current()).adapterVersionId, 'nothing is changed without mend').toBe(version.id);

  expect((await examined({ mend: true })).map(({ mended }) => mended)).toEqual([true, false]);
  expect((await current()).adapterVersionId).toBe(null);
  const data = { base_model_version_id: fleet.oldVersionId, from: version.id, to: null };
  expect(await database.db.event.findMany({ orderBy: { seq: 'desc' }, take: 1 })).toMatchObject([
    { type: 'adapter.current_moved', subjectId: version.adapterId, data },
  ]);
  expect(await database.db.auditEntry.findMany()).toMatchObject([
    { operation: 'setCurrentVersion', actor: 'command', subjectId: version.adapterId },
  ]);
  expect(kinds(await examined()), 'only its tenant has the files of an import').toEqual(['version_gone']);
});

test.each([
  ['of another size is found by its size', 'x'.repeat(1000), false],
  ['of the same size is found where everything is read', 'same size', true],
])('content %s, and goes into quarantine', async (_, text, verify) => {
  const file = path.join(await fleet.artifacts.localPath(version.artifactDigest), 'adapter_config.json');
  const { size } = await stat(file);
  await chmod(file, 0o644);
  await writeFile(file, verify ? text.padEnd(size) : text);
  if (verify) expect(await examined()).toEqual([]);
  expect(kinds(await examined({ verify, mend: true }))).toEqual([
    'artifact_corrupt',
    'current_version_gone',
    'version_gone',
  ]);
  expect(await fleet.artifacts.has(version.artifactDigest)).toBe(false);
  // Artifacts that are sent again are stored again, and nothing is wrong any more.
  await fleet.artifacts.putFolder(path.join(fleet.folder, 'adapter'), 'adapter');
  expect(await examined({ verify: true })).toEqual([]);
});

test('bytes that no row names go into quarantine, but for young ones and those that are named meanwhile', async () => {
  const put = (text: string) => fleet.artifacts.putFile(Readable.from([Buffer.from(text)]), 'dataset');
  const [old, young] = [await put('old'), await put('young')];
  await utimes(await fleet.artifacts.localPath(old.digest), LONG_AGO, LONG_AGO);
  const found = await examined({ mend: true });
  expect(found).toMatchObject([{ kind: 'artifact_unnamed', subject: old.digest, mended: true }]);
  expect(await Promise.all([old, young].map(({ digest }) => fleet.artifacts.has(digest)))).toEqual([false, true]);
});

test('an artifact that rows name but that has no row of its own is registered', async () => {
  await database.db.artifact.delete({ where: { digest: version.artifactDigest } });
  expect(await examined({ mend: true })).toMatchObject([{ kind: 'artifact_unregistered', mended: true }]);
  const row = await database.db.artifact.findUniqueOrThrow({ where: { digest: version.artifactDigest } });
  expect(row).toMatchObject({ kind: 'adapter' });
  expect(await examined()).toEqual([]);
});

test('a version that a rollout can make again is deleted, and the next one starts from the one before', async () => {
  await database.db.adapterVersion.update({ where: { id: version.id }, data: { origin: 'adapted' } });
  await fleet.artifacts.remove(version.artifactDigest);
  expect((await examined({ mend: true })).map(({ kind, mended }) => [kind, mended])).toEqual([
    ['current_version_gone', true],
    ['version_gone', true],
  ]);
  const row = await database.db.adapterVersion.findUniqueOrThrow({ where: { id: version.id } });
  expect(row.deletedAt).not.toBe(null);
  expect(await database.db.auditEntry.findMany({ orderBy: { seq: 'asc' } })).toMatchObject([
    { operation: 'setCurrentVersion' },
    { operation: 'deleteAdapterVersion', subjectId: version.id },
  ]);
  expect(await examined()).toEqual([]);
});

test('a dataset whose rows are gone is named, and whole again when the same rows are sent', async () => {
  const { id, artifactDigest } = await database.db.dataset.findFirstOrThrow();
  await fleet.artifacts.remove(artifactDigest);
  expect(await examined({ mend: true })).toMatchObject([{ kind: 'dataset_gone', subject: id, mended: false }]);
  await fleet.artifacts.putFile(path.join(fleet.folder, 'rows.jsonl'), 'dataset');
  expect(await examined({ verify: true })).toEqual([]);
});

test('an evolution whose files are gone is computed again by the next rollout', async () => {
  const folder = path.join(fleet.folder, 'evolution');
  await mkdir(folder);
  await writeFile(path.join(folder, 'f'), 'x');
  const stored = await fleet.artifacts.putFolder(folder, 'evolution');
  await withTransaction(database.db, (tx) => registerArtifact(tx, fleet.artifacts, stored));
  const bases = { oldBaseModelVersionId: fleet.oldVersionId, newBaseModelVersionId: fleet.newVersionId };
  const id = newId('evolution');
  await database.db.evolution.create({ data: { id, ...bases, state: 'ready', artifactDigest: stored.digest } });
  await fleet.artifacts.remove(stored.digest);
  expect(kinds(await examined({ mend: true }))).toEqual(['evolution_gone']);
  expect(await database.db.evolution.findUniqueOrThrow({ where: { id } })).toMatchObject({ state: 'pending' });
  expect(await examined()).toEqual([]);
});

test('bases that cannot be read, leases that ran out and jobs that nobody enqueues are named', async () => {
  await rename(path.join(fleet.folder, 'v2'), path.join(fleet.folder, 'away'));
  await database.db.outboxEntry.create({ data: { queue: 'rollouts', jobId: 'x', payload: {}, createdAt: LONG_AGO } });
  const found = await examined({ mend: true });
  expect(kinds(found)).toEqual(['base_unreadable', 'outbox_stale']);
  expect(found.map(({ mended }) => mended)).toEqual([false, false]);
  expect(found[0]).toMatchObject({ subject: fleet.newVersionId });
  await rm(path.join(fleet.folder, 'v1'), { recursive: true });
  expect(kinds(await examined())).toEqual(['base_unreadable', 'base_unreadable', 'outbox_stale']);
});

const OTHER_BUCKET =
  'nothing is mended where most artifacts are gone, as in a bucket that is another one, unless that is accepted';
test(OTHER_BUCKET, async () => {
  const { artifactDigest } = await database.db.dataset.findFirstOrThrow();
  for (const digest of [version.artifactDigest, artifactDigest]) await fleet.artifacts.remove(digest);
  expect(kinds(await examined())).toContain('current_version_gone');
  const refusal = { code: 'most_artifacts_wrong', message: expect.stringContaining('2 of 2 ') as string };
  await expect(examined({ mend: true })).rejects.toMatchObject(refusal);
  expect((await current()).adapterVersionId).toBe(version.id);
  await examined({ mend: true, acceptLosses: true });
  expect((await current()).adapterVersionId).toBe(null);
});

test('nothing is put into quarantine where nobody names most of what is stored, as with another database', async () => {
  const put = (text: string) => fleet.artifacts.putFile(Readable.from([Buffer.from(text)]), 'dataset');
  const stored = await Promise.all(['a', 'b', 'c', 'd'].map(put));
  await expect(examined({ mend: true, graceMs: 0 })).rejects.toMatchObject({ code: 'most_artifacts_wrong' });
  expect(await Promise.all(stored.map(({ digest }) => fleet.artifacts.has(digest)))).not.toContain(false);
});

test('a version stays that was sent again while the doctor was looking', async () => {
  await fleet.artifacts.remove(version.artifactDigest);
  const artifacts = {
    ...fleet.artifacts,
    // The tenant sends its files after they were found missing.
    list: () => sentAgain(),
  };
  async function* sentAgain() {
    await fleet.artifacts.putFolder(path.join(fleet.folder, 'adapter'), 'adapter');
    yield* fleet.artifacts.list();
  }
  await examined({ mend: true, artifacts });
  expect((await current()).adapterVersionId).toBe(version.id);
});

test('a base that workers fetch from a hub is not missed here', async () => {
  await database.db.baseModelVersion.update({
    where: { id: fleet.newVersionId },
    data: { path: 'hf://acme/assistant@0123', sourceKey: '0'.repeat(40) },
  });
  expect(await examined()).toEqual([]);
});

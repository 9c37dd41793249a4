import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readdir, utimes } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { compiledModule } from '../../compiled/index.ts';
import { createFilesystemStore, registerArtifact } from '../../../src/platform/artifacts/index.ts';
import { artifactCollectionTask } from '../../../src/operations/housekeeping/collection/artifact-collection.ts';
import { collectionTask } from '../../../src/operations/housekeeping/collection/collection.ts';
import { withTransaction, type Database } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { createDeletionService } from '../../../src/tenants/deletion/deletion.service.ts';
import { createCurrentVersionService } from '../../../src/fleet/adapters/current/current-version.service.ts';
import { recordEvent } from '../../../src/delivery/events/index.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestDatabase, createTestKey, unknownEvent, type TestDatabase } from '../support/index.ts';

const CHILD = fileURLToPath(new URL('./collector-child.ts', import.meta.url));
const DAY = 86_400_000;

let database: TestDatabase;
let db: Database;
let fleet: Fleet;
let rolloutId: string;
/** Tenant that is deleted as a whole, and the tenant that stays. */
let leaver: string;
let stayer: string;

const producer = { enqueueAfterCommit: () => Promise.resolve(), remove: () => Promise.resolve() };
const deletions = () => createDeletionService({ db, producer });
const root = () => path.join(fleet.folder, 'data', 'artifacts');
const put = (text: string) => fleet.artifacts.putFile(Readable.from([Buffer.from(text)]), 'dataset');

/** Stores and registers unique content. @returns its digest */
async function artifact(text: string): Promise<string> {
  const stored = await put(text);
  await withTransaction(db, (tx) => registerArtifact(tx, fleet.artifacts, stored));
  return stored.digest;
}

/** Adds an ended job with all its measurements and a version that it published. @returns the identifiers of both */
async function carriedOver(adapterId: string): Promise<{ jobId: string; versionId: string }> {
  const source = await db.adapterVersion.findFirstOrThrow({ where: { adapterId }, orderBy: { number: 'desc' } });
  const { tenantId } = source;
  const jobId = newId('job');
  const candidate = await artifact(`candidate of ${jobId}`);
  await db.job.create({
    data: {
      ...{
        id: jobId,
        tenantId,
        rolloutId,
        adapterId,
        sourceVersionId: source.id,
        strategy: 'auto',
        metricName: 'accuracy',
      },
      ...{
        state: 'not_ready',
        finishedAt: new Date(),
        error: { code: 'gate_not_reached', candidate_digest: candidate },
      },
    },
  });
  const points = Array.from({ length: 5 }, (_, step) => ({ tenantId, jobId, name: 'loss', step, value: 1 }));
  await db.metricPoint.createMany({ data: points });
  const search = { index: 0, fusionAlpha: 1, fusionBeta: 0, rows: 1, metric: 'loss', loss: 1, durationMs: 1 };
  await db.searchEvaluation.create({ data: { jobId, tenantId, ...search } });
  const versionId = newId('adapterVersion');
  await db.adapterVersion.create({
    data: {
      ...{ id: versionId, tenantId, adapterId, baseModelVersionId: fleet.newVersionId, parentVersionId: source.id },
      ...{ number: source.number + 1, origin: 'adapted', rank: 4, loraAlpha: 8, jobId },
      artifactDigest: await artifact(`version ${versionId}`),
      negativeFlips: { create: { tenantId, flips: [{ row: 1, slices: [] }] } },
      gateOutcomes: {
        create: { tenantId, digest: `sha256:${'0'.repeat(64)}`, value: 1, standardError: 0, values: [1, 0] },
      },
    },
  });
  await withTransaction(db, (tx) => recordEvent(tx, unknownEvent({ tenantId, subjectId: jobId })));
  return { jobId, versionId };
}

beforeEach(async () => {
  database = await createTestDatabase();
  db = database.db;
  fleet = await createFleet(db, { tenants: 2, adapters: 4 });
  [leaver, stayer] = fleet.tenants as [string, string];
  rolloutId = newId('rollout');
  await db.rollout.create({
    data: { id: rolloutId, baseModelVersionId: fleet.newVersionId, options: {}, state: 'completed' },
  });
  for (const tenantId of [leaver, stayer]) await createTestKey(db, { tenantId });
  const answer = { key: 'k', requestHash: 'h', statusCode: 201, response: { name: 'secret' } };
  for (const principal of [leaver, stayer]) await db.idempotencyRecord.create({ data: { principal, ...answer } });
});
afterEach(async () => {
  await fleet.remove();
  await database.close();
});

/** Identifiers of a tenant's adapters. */
const adaptersOf = (tenantId: string) => db.adapter.findMany({ where: { tenantId }, orderBy: { id: 'asc' } });
const stored = async (): Promise<string[]> => {
  const digests: string[] = [];
  for await (const { digest } of fleet.artifacts.list()) digests.push(digest);
  return digests;
};

/** Number of rows per table that contain one of these texts in any column. */
async function mentions(texts: readonly string[]): Promise<Record<string, number>> {
  const tables = await db.$queryRaw<{ name: string }[]>`
    SELECT relname::text AS name FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace`;
  const found: Record<string, number> = {};
  for (const { name } of tables) {
    const [row] = await db.$queryRawUnsafe<{ count: number }[]>(
      `SELECT count(*)::int AS count FROM "${name}" t WHERE t::text LIKE ANY($1)`,
      texts.map((text) => `%${text}%`),
    );
    if (row!.count > 0) found[name] = row!.count;
  }
  return found;
}

/** Advisory locks in the database, which collectors take. */
const locksHeld = () => db.$queryRaw`
  SELECT 1 AS held FROM pg_locks l JOIN pg_database d ON d.oid = l.database
  WHERE l.locktype = 'advisory' AND d.datname = current_database()`;

/** Runs both housekeeping tasks in this process. */
async function collect(graceDays = 0, graceMs = 0): Promise<Record<string, number>> {
  const { signal } = new AbortController();
  return {
    ...(await collectionTask({ db, producer, deletionGraceDays: graceDays, batch: 3 }).run(signal)),
    ...(await artifactCollectionTask({ db, artifacts: fleet.artifacts, graceMs }).run(signal)),
  };
}

/** Creates data and deletes some of every kind. @returns what must be gone and what must stay */
async function deleteMuch() {
  const remaining = await adaptersOf(stayer);
  const [gone, kept] = [remaining[0]!, remaining[1]!];
  const leaving = await adaptersOf(leaver);
  const jobs = [];
  for (const { id } of [...leaving, gone]) jobs.push(await carriedOver(id));
  const old = await db.adapterVersion.findFirstOrThrow({ where: { adapterId: kept.id } });
  const oldDigest = await artifact('only of the old version');
  await db.adapterVersion.update({ where: { id: old.id }, data: { artifactDigest: oldDigest } });
  const outcomes = { digest: `sha256:${'1'.repeat(64)}`, value: 1, standardError: 0, values: [1, 1] };
  await db.gateOutcomes.create({ data: { adapterVersionId: old.id, tenantId: stayer, ...outcomes } });
  const staying = await carriedOver(kept.id);
  await db.job.updateMany({ where: { id: staying.jobId }, data: { sourceVersionId: old.id } });
  const rows = { rows: 1, bytes: 1n, splits: {} };
  const unused = await db.dataset.create({
    data: { id: newId('dataset'), tenantId: stayer, name: 'unused', artifactDigest: await artifact('unused'), ...rows },
  });
  await put('bytes of a process that died');
  const needed = await db.adapterVersion.findMany({ where: { adapterId: kept.id, id: { not: old.id } } });
  const dataset = await db.dataset.findFirstOrThrow({ where: { tenantId: stayer, name: 'data' } });
  const job = await db.job.findUniqueOrThrow({ where: { id: staying.jobId } });
  const key = { adapterId: kept.id, baseModelVersionId: old.baseModelVersionId };
  const none = { version_id: null, expected_version_id: old.id };
  await createCurrentVersionService({ db }).set(key, none, stayer);
  await deletions().deleteVersion(kept.id, old.id, stayer);
  await deletions().deleteAdapter(gone.id, stayer);
  await deletions().deleteDataset(unused.id, stayer);
  await deletions().deleteTenant(leaver);
  return {
    ofTenant: [leaver, ...leaving.map(({ id }) => id)],
    // Events about things that a tenant deleted stay with the tenant.
    rows: [...jobs.flatMap((one) => [one.jobId, one.versionId]), gone.id, unused.id],
    anchor: old.id,
    kept: { adapterId: kept.id, versions: needed.length, ...staying },
    digests: [
      ...needed.map((version) => version.artifactDigest),
      dataset.artifactDigest,
      (job.error as { candidate_digest: string }).candidate_digest,
    ].sort(),
  };
}

/** Checks that everything deleted is gone, and nothing else. */
async function expectCollected(world: Awaited<ReturnType<typeof deleteMuch>>): Promise<void> {
  expect(await db.event.findMany({ where: { subjectId: leaver }, orderBy: { seq: 'asc' } })).toMatchObject([
    { tenantId: null, type: 'tenant.deleted', data: {} },
    { tenantId: null, type: 'tenant.collected', data: {} },
  ]);
  await db.event.deleteMany({ where: { subjectId: leaver } });
  expect(await mentions(world.ofTenant)).toEqual({});
  await db.event.deleteMany({ where: { tenantId: stayer } });
  expect(await mentions(world.rows)).toEqual({});
  // The margins of its successors still count from an imported version, whose name and outcomes are needed for that.
  expect(await mentions([world.anchor])).toEqual({ adapter_versions: 1, anchor_outcomes: 1 });
  expect(await stored()).toEqual(world.digests);
  for (const digest of world.digests) await fleet.artifacts.verify(digest);
  expect((await db.artifact.findMany({ orderBy: { digest: 'asc' } })).map(({ digest }) => digest)).toEqual(
    world.digests,
  );
  const { adapterId, versions, jobId } = world.kept;
  expect(await db.adapterVersion.count({ where: { adapterId } })).toBe(versions);
  expect(await db.metricPoint.count({ where: { jobId } })).toBe(5);
  expect(await db.job.findUnique({ where: { id: jobId } })).toMatchObject({
    sourceVersionId: null,
    state: 'not_ready',
  });
  expect(await db.apiKey.count()).toBe(1);
  expect(await db.idempotencyRecord.count()).toBe(1);
}

test('what is deleted is collected with everything that it has, and what is needed stays', async () => {
  const world = await deleteMuch();
  const before = await stored();
  expect(Object.values(await collect(7, DAY)).filter((count) => count > 0)).toEqual([]);
  expect(await stored()).toEqual(before);
  const removed = await collect();
  expect(removed).toMatchObject({ tenants: 1, adapters: 1, versions: 1, datasets: 1, unregistered: 1 });
  await expectCollected(world);
});

test('a collector that is killed again and again leaves nothing over and loses nothing', async () => {
  const world = await deleteMuch();
  let kills = 0;
  // An odd step, because every second query only takes the collectors' lock.
  for (let killAt = 2; ; killAt += 17) {
    const child = fork(compiledModule(CHILD), [database.url, root(), String(killAt)], { execArgv: [] });
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
    if (code === 0) break;
    expect(signal).toBe('SIGKILL');
    // PostgreSQL keeps the locks of its transaction until it notices the death.
    await expect.poll(locksHeld).toEqual([]);
    kills++;
  }
  expect(kills).toBeGreaterThan(5);
  // The next process that opens the store removes what the dead one had moved aside.
  await createFilesystemStore(root());
  expect(await readdir(path.join(root(), 'tmp'))).toEqual([]);
  await expectCollected(world);
});

test('a tenant is gone from every table that has its id, whatever tables there are', async () => {
  await db.$executeRaw`CREATE TABLE later (tenant_id text NOT NULL REFERENCES tenants (id), secret text)`;
  await db.$executeRaw`INSERT INTO later SELECT ${leaver}, 'x' FROM generate_series(1, 10)`;
  await deletions().deleteTenant(leaver);
  await collect();
  const tables = await db.$queryRaw<{ name: string }[]>`
    SELECT table_name::text AS name FROM information_schema.columns WHERE column_name = 'tenant_id'
      AND table_schema = 'public'`;
  expect(tables.length).toBeGreaterThan(8);
  for (const { name } of tables) {
    expect(await db.$queryRawUnsafe(`SELECT 1 FROM "${name}" WHERE tenant_id = $1`, leaver)).toEqual([]);
  }
  expect(await db.tenant.count({ where: { id: leaver } })).toBe(0);
});

const ADAPTER_DELETED_WHILE_PLANNED =
  'a job that was planned while its adapter was deleted is cancelled, and then everything is collected';
test(ADAPTER_DELETED_WHILE_PLANNED, async () => {
  const adapterId = fleet.adapters[0]!;
  const version = await db.adapterVersion.findFirstOrThrow({ where: { adapterId } });
  await deletions().deleteAdapter(adapterId, null);
  const { id } = await db.job.create({
    data: {
      ...{ id: newId('job'), tenantId: version.tenantId, rolloutId, adapterId, sourceVersionId: version.id },
      ...{ strategy: 'auto', metricName: 'accuracy' },
    },
  });
  expect(await collect(7)).toMatchObject({ adapters: 0 });
  expect(await db.job.findUnique({ where: { id } })).toMatchObject({ state: 'cancelled' });
  expect(await collect()).toMatchObject({ adapters: 1, jobs: 1 });
});

test('what is put or registered again is young again', async () => {
  const digest = await artifact('of a row that was removed');
  const loose = (await put('without a row')).digest;
  const long = new Date(Date.now() - 3 * DAY);
  const age = async (): Promise<void> => {
    await db.artifact.updateMany({ data: { createdAt: long } });
    for (const one of [digest, loose]) await utimes(await fleet.artifacts.localPath(one), long, long);
  };
  await age();
  await artifact('of a row that was removed');
  await put('without a row');
  expect(await collect(0, DAY)).toMatchObject({ artifacts: 0, unregistered: 0 });
  await age();
  expect(await collect(0, DAY)).toMatchObject({ artifacts: 1, unregistered: 1 });
  expect(await fleet.artifacts.has(digest)).toBe(false);
});

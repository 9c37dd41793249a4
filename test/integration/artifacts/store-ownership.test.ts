import { once } from 'node:events';
import { access, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { main } from '../../../cli/main.ts';
import { openArtifactStore, registerArtifact, type ArtifactStore } from '../../../src/platform/artifacts/index.ts';
import { loadConfig } from '../../../src/platform/config/config.ts';
import { artifactCollectionTask } from '../../../src/operations/housekeeping/collection/artifact-collection.ts';
import { examine, type ExaminationOptions } from '../../../src/operations/doctor/doctor.ts';
import type { Finding } from '../../../src/operations/doctor/findings.ts';
import { createDatabase, withTransaction, type Database } from '../../../src/platform/database/database.ts';
import { writeChecks } from '../../../src/operations/health/health.service.ts';
import { createTestApp, createTestDatabase, type TestDatabase } from '../support/index.ts';

const LONG_AGO = new Date(Date.now() - 48 * 3_600_000);

let own: TestDatabase;
/** Copy of the first database: test databases are cloned from one template. */
let other: TestDatabase;
let dataDir: string;

beforeAll(async () => {
  [own, other] = await Promise.all([createTestDatabase(), createTestDatabase()]);
});
beforeEach(async () => {
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-owner-'));
});
afterEach(async () => {
  for (const { db } of [own, other]) await db.artifact.deleteMany();
  await other.db.installation.updateMany({ data: await own.db.installation.findFirstOrThrow() });
  await rm(dataDir, { recursive: true, force: true });
});
afterAll(() => Promise.all([own.close(), other.close()]));

const markFile = () => path.join(dataDir, 'artifacts', 'readapt-installation.json');
const markOf = async () => JSON.parse(await readFile(markFile(), 'utf8')) as Record<string, string>;
const open = ({ db }: { db: Database }, options: { begins?: boolean } = {}) =>
  openArtifactStore({ db, config: loadConfig({ READAPT_DATA_DIR: dataDir }), begins: true, ...options });
const messageOf = async (store: ArtifactStore) => (await store.ownership.problem())?.message ?? null;
const collect = (db: Database, artifacts: ArtifactStore) =>
  artifactCollectionTask({ db, artifacts }).run(new AbortController().signal);

/** Makes the database that of another installation. */
const another = ({ db }: TestDatabase) => db.installation.updateMany({ data: { identifier: 'another-installation' } });

/** Stores content old enough for the collector and registers it with a database. */
async function stored(store: ArtifactStore, text: string, owner: TestDatabase | null): Promise<string> {
  const artifact = await store.putFile(Readable.from([Buffer.from(text)]), 'dataset');
  if (owner !== null) await withTransaction(owner.db, (tx) => registerArtifact(tx, store, artifact));
  await utimes(await store.localPath(artifact.digest), LONG_AGO, LONG_AGO);
  return artifact.digest;
}

async function examined(db: Database, artifacts: ArtifactStore, options: Partial<ExaminationOptions>) {
  const found: Finding[] = [];
  for await (const one of examine({ db, artifacts, ...options })) found.push(one);
  return found;
}

test('a new store belongs to the database of the APIs that begin it, also of two at once', async () => {
  const stores = await Promise.all([open(own), open(own), open(own, { begins: false })]);
  for (const store of stores.slice(0, 2)) expect(await messageOf(store)).toBeNull();
  expect(await messageOf(await open(own, { begins: false }))).toBeNull();
  const { identifier } = await own.db.installation.findFirstOrThrow();
  expect(await markOf()).toMatchObject({ installation: identifier, database: expect.stringMatching(/^\d+\/\d+$/) });
});

test('a worker that comes first takes no store, and its collector waits', async () => {
  const store = await open(own, { begins: false });
  expect(await messageOf(store)).toMatch(/no readapt-installation\.json yet/);
  await expect(collect(own.db, store)).rejects.toThrow(/no readapt-installation\.json yet/);
});

describe('a store that has lost its mark', () => {
  let digest: string;
  beforeEach(async () => {
    digest = await stored(await open(own), 'rows', own);
    await rm(markFile());
  });

  test.each([true, false])('is taken by the database that names what it has (an API: %s)', async (begins) => {
    expect(await messageOf(await open(own, { begins }))).toBeNull();
  });

  test('is not taken by an empty database, which removes nothing', async () => {
    const store = await open(other);
    const settings = /most of what is in it, so nothing is stored or removed: check READAPT_DATA_DIR and DATABASE_URL/;
    await expect(collect(other.db, store)).rejects.toThrow(settings);
    await expect(store.remove(digest)).rejects.toMatchObject({
      code: 'storage_away',
      message: expect.stringMatching(settings),
    });
    expect(await store.has(digest)).toBe(true);
    expect(await messageOf(await open(own))).toBeNull();
  });

  test('is not taken by a database that names one of many', async () => {
    const store = await open(own);
    for (const text of ['more', 'and more']) await stored(store, text, own);
    await stored(store, 'by mistake', other);
    for (const text of ['elsewhere', 'and there']) await store.remove(await stored(store, text, other));
    await rm(markFile());
    const problem = await (await open(other)).ownership.problem();
    expect(problem?.message).toMatch(/does not name most of what is in it/);
    expect(problem?.isForeign).toBe(true);
  });

  const RESTORED_BACKUP =
    'keeps what has been collected since, if it has what the database names: it was restored from a long used backup';
  test(RESTORED_BACKUP, async () => {
    const store = await open(own);
    for (const text of ['collected', 'long', 'ago']) await stored(store, text, null);
    await rm(markFile());
    const restored = await open(own);
    expect(await restored.ownership.problem()).toEqual({
      message: expect.stringMatching(
        /has what the database names, and more .* `readapt doctor --adopt --accept-losses`/,
      ),
      isForeign: false,
    });
    await expect(restored.remove(digest)).rejects.toMatchObject({ code: 'storage_away' });
    await stored(restored, 'goes on', own);
    await examined(own.db, restored, { adopt: true, acceptLosses: true });
    expect(await messageOf(restored)).toBeNull();
  });

  test('is taken by `readapt doctor --mend`, and left alone by its report', async () => {
    const marks = [path.join(dataDir, 'artifacts', 'READAPT_STORE'), markFile()];
    await rm(marks[0]!);
    vi.stubEnv('DATABASE_URL', own.url);
    vi.stubEnv('READAPT_DATA_DIR', dataDir);
    const printed = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    try {
      expect(await main(['doctor'])).toBe(0);
      for (const mark of marks) await expect(access(mark)).rejects.toMatchObject({ code: 'ENOENT' });
      expect(await main(['doctor', '--mend'])).toBe(0);
      await Promise.all(marks.map((mark) => access(mark)));
    } finally {
      printed.mockRestore();
      vi.unstubAllEnvs();
    }
  });
});

describe('a store of another installation', () => {
  let digest: string;
  let store: ArtifactStore;
  beforeEach(async () => {
    digest = await stored(await open(own), 'rows', own);
    await another(other);
    store = await open(other);
  });

  const REFUSED =
    /belongs to installation [0-9a-f-]{36}, and the database is that of installation another-installation/;

  test('keeps what the database does not name, and gets nothing', async () => {
    await expect(collect(other.db, store)).rejects.toThrow(REFUSED);
    for (const refused of [
      store.remove(digest),
      store.quarantine(digest),
      store.removeLeftovers(0),
      store.holding((held) => held.remove(digest)),
      store.putFile(Readable.from([Buffer.from('new')]), 'dataset'),
      store.putFolder(dataDir, 'adapter'),
      store.checkWritable(),
    ]) {
      await expect(refused).rejects.toMatchObject({ code: 'storage_away', message: expect.stringMatching(REFUSED) });
    }
    expect(await store.has(digest)).toBe(true);
    expect(await collect(own.db, await open(own)), 'its own database goes on').toMatchObject({ unregistered: 0 });
  });

  test('is not mended by the doctor, which says why', async () => {
    await expect(examined(other.db, store, { mend: true, acceptLosses: true })).rejects.toMatchObject({
      code: 'artifact_store_not_owned',
      message: expect.stringMatching(REFUSED),
    });
    expect(await examined(other.db, store, {})).toMatchObject([
      { kind: 'store_not_owned', mended: false },
      { kind: 'artifact_unnamed', subject: digest },
    ]);
  });

  test('can be given to this one, but where it names next to nothing only if that is said', async () => {
    await stored(await open(own), 'more rows', own);
    await expect(examined(other.db, store, { adopt: true })).rejects.toMatchObject({ code: 'most_artifacts_wrong' });
    expect(await messageOf(store)).toMatch(REFUSED);
    const findings = await examined(other.db, store, { adopt: true, acceptLosses: true });
    expect(findings.filter(({ mended }) => mended).map(({ kind }) => kind)).toEqual(['store_not_owned']);
    expect(await messageOf(store)).toBeNull();
    expect(await messageOf(await open(own))).toMatch(/belongs to installation another-installation/);
  });
});

describe('a copy of the database', () => {
  test('stores, but removes nothing until the store is given to it', async () => {
    const digest = await stored(await open(own), 'rows', own);
    const store = await open(other);
    await stored(store, 'of the copy', other);
    const refusal = 'another copy of this database, so nothing is removed from it: ';
    await expect(collect(other.db, store)).rejects.toThrow(
      new RegExp(`${refusal}.* \`readapt doctor --adopt\`.* \\(READAPT_DATA_DIR\\)`),
    );
    expect(await store.has(digest)).toBe(true);
    await examined(other.db, store, { adopt: true });
    expect(await collect(other.db, store)).toMatchObject({ unregistered: 1 });
    expect(await messageOf(await open(own))).toMatch(/another copy of this database/);
  });
});

describe('with one connection, as workers and commands have', () => {
  let single: Database;
  let laterMs: number;
  beforeEach(() => {
    single = createDatabase(own.url, { poolSize: 1 });
    laterMs = 0;
    const now = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => now() + laterMs);
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await single.$disconnect();
  });

  /** Store whose clock moves on by 11 s after each check of the owner, so that the result is already stale. */
  function slow(store: ArtifactStore): ArtifactStore {
    const problem = async () => {
      const found = await store.ownership.problem();
      laterMs += 11_000;
      return found;
    };
    return { ...store, ownership: { ...store.ownership, problem } };
  }

  test('the collector removes rows and bytes, however long it takes', async () => {
    const store = await open({ db: single });
    await stored(store, 'registered', own);
    for (const text of ['nobody’s', 'nor this']) await stored(store, text, null);
    const task = artifactCollectionTask({ db: single, artifacts: slow(store), graceMs: 0 });
    expect(await task.run(new AbortController().signal)).toMatchObject({ artifacts: 1, unregistered: 2 });
  });

  test('the doctor mends, however long it takes', async () => {
    const store = await open({ db: single });
    await stored(store, 'nobody’s', null);
    expect(await examined(single, slow(store), { mend: true })).toMatchObject([
      { kind: 'artifact_unnamed', mended: true },
    ]);
  });

  test('a removal does not wait for somebody who asks for the owner meanwhile', async () => {
    const store = await open({ db: single });
    const digest = await stored(store, 'nobody’s', null);
    let put: Promise<unknown> = Promise.resolve();
    await withTransaction(single, async (tx) => {
      await tx.$queryRaw`SELECT 1`;
      laterMs += 11_000;
      put = store.putFile(Readable.from([Buffer.from('new')]), 'dataset');
      await store.remove(digest);
    });
    await put;
    expect(await store.has(digest)).toBe(false);
  });
});

describe('a mark that cannot be read', () => {
  test('says so, and is replaced by `readapt doctor --adopt`', async () => {
    const digest = await stored(await open(own), 'rows', own);
    await writeFile(markFile(), '');
    const store = await open(own);
    expect(await store.ownership.problem()).toEqual({
      message: expect.stringMatching(/readapt-installation\.json .* cannot be read as one.* `readapt doctor --adopt`/),
      isForeign: false,
    });
    await expect(store.remove(digest)).rejects.toMatchObject({ code: 'storage_away' });
    expect(await examined(own.db, store, { adopt: true })).toMatchObject([{ kind: 'store_not_owned', mended: true }]);
    expect(await messageOf(await open(own))).toBeNull();
  });

  test('does not make a store that of a database which names nothing in it', async () => {
    await stored(await open(own), 'rows', own);
    await writeFile(markFile(), '{}');
    expect((await (await open(other)).ownership.problem())?.isForeign).toBe(true);
  });
});

test('a server that does not say which it is has the databases that their numbers tell apart', async () => {
  // Database user without this right, as in managed services.
  const role = `test_owner_${path.basename(dataDir).slice(-6).toLowerCase()}`;
  const url = new URL(own.url);
  url.searchParams.set('options', `-c role=${role}`);
  const db = createDatabase(url.toString(), { poolSize: 1 });
  try {
    await own.db.$executeRawUnsafe(`CREATE ROLE ${role}`);
    await own.db.$executeRawUnsafe(`GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role}`);
    await own.db.$executeRawUnsafe('REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC');
    const store = await open({ db });
    expect(await messageOf(store)).toBeNull();
    expect((await markOf()).database).toMatch(/^unknown\/\d+$/);
    await own.db.$executeRawUnsafe(`REVOKE SELECT ON installation FROM ${role}`);
    await expect(open({ db })).rejects.toThrow(/permission denied for table installation/);
  } finally {
    await db.$disconnect();
    await own.db.$executeRawUnsafe('GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC');
    await own.db.$executeRawUnsafe(`DROP OWNED BY ${role}`);
    await own.db.$executeRawUnsafe(`DROP ROLE ${role}`);
  }
});

test('a bucket that refuses only its mark is named with its setting when a process starts', async () => {
  const server = createServer(({ url = '' }, response) => {
    response.writeHead(url.includes('READAPT_STORE') ? 200 : 403).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
  try {
    const config = loadConfig({
      READAPT_DATA_DIR: dataDir,
      READAPT_ARTIFACTS: 's3://artifacts/refused',
      READAPT_S3_ENDPOINT: `http://127.0.0.1:${port}`,
      READAPT_S3_PATH_STYLE: 'on',
    });
    await expect(openArtifactStore({ db: own.db, config, begins: true })).rejects.toMatchObject({
      code: 'artifact_store_away',
      message: expect.stringMatching(/^READAPT_ARTIFACTS is s3:\/\/artifacts\/refused, which cannot be used/),
    });
  } finally {
    vi.unstubAllEnvs();
    server.close();
  }
});

test('an API whose database is another one is not ready, and one whose database is a copy warns', async () => {
  let owner = own;
  let store = await open(own);
  const { ownership } = store;
  // The app's store and checks are those of the database that is asked about.
  const artifacts = { ...store, ownership: { ...ownership, problem: () => store.ownership.problem() } };
  const check = (name: string) => () => writeChecks(owner.db, store)[name]!();
  const readiness = { artifacts_write: check('artifacts_write'), database_write: check('database_write') };
  const app = await createTestApp({ deps: { artifacts, readiness } });
  const readinessOf = async (database: TestDatabase) => {
    [owner, store] = [database, await open(database)];
    return (await app.request({ url: '/readyz', key: null })).json<object>();
  };
  try {
    expect(await readinessOf(own)).toMatchObject({ status: 'ready', warnings: [] });
    expect(await readinessOf(other)).toMatchObject({
      status: 'ready',
      warnings: [expect.stringMatching(/another copy of this database/)],
    });
    await another(other);
    const reason = expect.stringMatching(/check READAPT_DATA_DIR and DATABASE_URL/);
    expect(await readinessOf(other)).toMatchObject({
      status: 'not_ready',
      checks: expect.arrayContaining([expect.objectContaining({ name: 'artifacts_write', ok: false, reason })]),
    });
  } finally {
    await app.close();
  }
});

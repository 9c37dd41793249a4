import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openArtifactStore, registerArtifact } from '../../../src/platform/artifacts/index.ts';
import { loadConfig } from '../../../src/platform/config/config.ts';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { createFleet } from '../queue/fleet.ts';
import { createTestApp, createTestDatabase, createTestKey, type TestDatabase } from '../support/index.ts';

let database: TestDatabase;
let dataDir: string;
const root = () => path.join(dataDir, 'artifacts');
const open = (begins: boolean) =>
  openArtifactStore({ db: database.db, config: loadConfig({ READAPT_DATA_DIR: dataDir }), begins });

beforeEach(async () => {
  database = await createTestDatabase();
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-store-'));
});
afterEach(async () => {
  await database.close();
  await rm(dataDir, { recursive: true, force: true });
});

/** Opens a new store like an API and stores something. */
async function filled(): Promise<void> {
  const store = await open(true);
  const stored = await store.putFile(Readable.from([Buffer.from('rows')]), 'dataset');
  await withTransaction(database.db, (tx) => registerArtifact(tx, store, stored));
}

const REFUSAL = {
  code: 'artifact_store_away',
  badInput: true,
  message: expect.stringMatching(/^READAPT_DATA_DIR is .* has none of the artifacts that the database names/),
};

test.each([true, false])('a start without the store makes nothing in its place (an API: %s)', async (begins) => {
  await filled();
  await rename(root(), `${root()}-away`);
  await expect(open(begins)).rejects.toMatchObject(REFUSAL);
  expect(await readdir(dataDir)).toEqual(['artifacts-away']);
  await mkdir(path.join(root(), 'sha256'), { recursive: true });
  await expect(open(begins), 'empty folders of an earlier start').rejects.toMatchObject(REFUSAL);
  await rm(root(), { recursive: true });
  await rename(`${root()}-away`, root());
  await open(begins);
});

test('a store that has lost its marker is known by what it has', async () => {
  await filled();
  await rm(path.join(root(), 'READAPT_STORE'));
  await open(false);
  expect(await readdir(root())).toContain('READAPT_STORE');
});

test('a worker that comes first does not take the folder for the store', async () => {
  await open(false);
  expect(await readdir(root())).not.toContain('READAPT_STORE');
  await open(true);
  expect(await readdir(root())).toContain('READAPT_STORE');
});

test('a store that is lost can be begun anew, as the refusal says', async () => {
  await filled();
  await rm(root(), { recursive: true });
  const refusal = await open(true).catch((error: Error) => error.message);
  const marker = /create the file (\S+) to go on/.exec(String(refusal))![1]!;
  await mkdir(path.dirname(marker));
  await writeFile(marker, '');
  await (await open(true)).checkWritable();
});

test('a download while the store is away says so, and when to come again', async () => {
  const app = await createTestApp();
  const fleet = await createFleet(app.db, { tenants: 1, adapters: 1 });
  try {
    const version = await app.db.adapterVersion.findFirstOrThrow();
    const key = await createTestKey(app.db, { tenantId: version.tenantId });
    // The app's own store is empty, like an unmounted one.
    const url = `/v1/adapters/${version.adapterId}/versions/${version.id}/download`;
    const answer = await app.request({ url, key });
    expect(answer.statusCode).toBe(503);
    expect(answer.headers['retry-after']).toBe('10');
    expect(answer.headers.etag).toBeUndefined();
    expect(answer.json()).toMatchObject({ code: 'storage_away' });
  } finally {
    await fleet.remove();
    await app.close();
  }
});

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openArtifactStore, registerArtifact } from '../../src/platform/artifacts/index.ts';
import { loadConfig } from '../../src/platform/config/config.ts';
import { artifactCollectionTask } from '../../src/operations/housekeeping/collection/artifact-collection.ts';
import { examine } from '../../src/operations/doctor/doctor.ts';
import type { Finding } from '../../src/operations/doctor/findings.ts';
import { withTransaction } from '../../src/platform/database/database.ts';
import { createTestDatabase, type TestDatabase } from '../integration/support/index.ts';
import { openTestStore } from './support/open-test-store.ts';
import { startS3Server, type S3Server } from './support/versitygw.ts';

const HOUR_MS = 3_600_000;

let server: S3Server;
let database: TestDatabase;
let folder: string;

beforeAll(async () => {
  server = await startS3Server();
  database = await createTestDatabase();
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-s3-collection-'));
});
afterAll(async () => {
  await database?.close();
  await server?.remove();
  await rm(folder, { recursive: true, force: true });
});

const BUCKET_COLLECTION =
  'the collector removes from a bucket what nobody names and what puts have left, when it is old enough';
test(BUCKET_COLLECTION, async () => {
  const { store, client } = await openTestStore(server, { prefix: 'collected', dataDir: path.join(folder, 'data') });
  const { db } = database;
  const source = path.join(folder, 'source');
  await mkdir(source);
  await writeFile(path.join(source, 'f'), 'x');
  const registered = await store.putFolder(source, 'adapter');
  await withTransaction(db, (tx) => registerArtifact(tx, store, registered));
  await store.putFile(Readable.from([Buffer.from('nobody’s')]), 'dataset');
  // Leftover of a put that was killed before writing its manifest.
  const Key = `collected/folders/ab/${'c'.repeat(62)}/some-put/f`;
  await client.s3.send(new PutObjectCommand({ Bucket: server.bucket, Key, Body: 'x' }));

  const collect = (graceMs: number) =>
    artifactCollectionTask({ db, artifacts: store, graceMs }).run(AbortSignal.any([]));
  expect(await collect(HOUR_MS)).toEqual({ artifacts: 0, unregistered: 0, leftovers: 0 });
  expect(await collect(0)).toEqual({ artifacts: 1, unregistered: 1, leftovers: 1 });
  expect(await client.keys('collected')).toEqual([]);
});

test('the doctor puts what nobody names in a bucket into quarantine there', async () => {
  const { store, client } = await openTestStore(server, { prefix: 'examined', dataDir: path.join(folder, 'data') });
  const { digest } = await store.putFile(Readable.from([Buffer.from('nobody’s')]), 'dataset');
  const found: Finding[] = [];
  const { db } = database;
  for await (const one of examine({ db, artifacts: store, mend: true, graceMs: 0 })) found.push(one);
  expect(found).toMatchObject([{ kind: 'artifact_unnamed', subject: digest, mended: true }]);
  const keys = await client.keys('examined');
  expect(keys).toHaveLength(1);
  expect(keys[0]).toMatch(new RegExp(`^quarantine/sha256/${digest.slice(7, 9)}/${digest.slice(9)}\\..*\\.file$`));
});

const BUCKET_OWNERSHIP =
  'a bucket belongs to the database of the API that began it, and one of another installation removes nothing';
test(BUCKET_OWNERSHIP, async () => {
  const prefix = 'owned';
  const env = { ...server.env(prefix), READAPT_DATA_DIR: path.join(folder, 'data') };
  const open = ({ db }: TestDatabase) => openArtifactStore({ db, config: loadConfig(env), begins: true });
  const { client } = await openTestStore(server, { prefix, dataDir: path.join(folder, 'data') });
  const other = await createTestDatabase();
  try {
    await other.db.installation.updateMany({ data: { identifier: 'another-installation' } });
    const [store] = await Promise.all([open(database), open(database)]);
    expect(await client.keys(prefix)).toEqual(['READAPT_STORE', 'readapt-installation.json']);
    const { digest } = await store.putFile(Readable.from([Buffer.from('rows')]), 'dataset');
    const foreign = await open(other);
    const collect = artifactCollectionTask({ db: other.db, artifacts: foreign, graceMs: 0 }).run(AbortSignal.any([]));
    await expect(collect).rejects.toThrow(/check READAPT_ARTIFACTS and DATABASE_URL/);
    await expect(foreign.remove(digest)).rejects.toMatchObject({ code: 'storage_away' });
    await foreign.ownership.adopt();
    expect(await foreign.ownership.problem()).toBeNull();
    expect((await (await open(database)).ownership.problem())?.isForeign).toBe(true);
  } finally {
    await other.close();
  }
});

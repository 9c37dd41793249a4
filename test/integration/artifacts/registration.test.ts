import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  createFilesystemStore,
  discardUnreferenced,
  registerArtifact,
  withRegisteredArtifact,
  type ArtifactStore,
} from '../../../src/platform/artifacts/index.ts';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { createTestDatabase, type TestDatabase } from '../support/index.ts';

let database: TestDatabase;
let folder: string;
let store: ArtifactStore;
beforeAll(async () => {
  database = await createTestDatabase();
  folder = await mkdtemp(join(tmpdir(), 'readapt-registration-'));
  store = await createFilesystemStore(join(folder, 'artifacts'));
});
afterAll(async () => {
  await database.close();
  await rm(folder, { recursive: true, force: true });
});

const put = (text: string) => store.putFile(Readable.from([Buffer.from(text)]), 'dataset');
const failing = () => Promise.reject(new Error('no row today'));

it('writes the row once, whoever puts the content again', async () => {
  const artifact = await put('twice');
  for (let i = 0; i < 2; i++) await withTransaction(database.db, (tx) => registerArtifact(tx, store, artifact));
  expect(await database.db.artifact.findMany()).toMatchObject([
    { digest: artifact.digest, kind: 'dataset', bytes: 5n },
  ]);
});

it('keeps neither row nor bytes when the transaction fails', async () => {
  const artifact = await put('never');
  const work = withRegisteredArtifact({ db: database.db, artifacts: store }, artifact, failing);
  await expect(work).rejects.toThrow('no row today');
  expect(await store.has(artifact.digest)).toBe(false);
  expect(await database.db.artifact.count({ where: { digest: artifact.digest } })).toBe(0);
});

it('keeps bytes that another row names', async () => {
  const artifact = await put('shared');
  await withTransaction(database.db, (tx) => registerArtifact(tx, store, artifact));
  const work = withRegisteredArtifact({ db: database.db, artifacts: store }, await put('shared'), failing);
  await expect(work).rejects.toThrow('no row today');
  expect(await store.has(artifact.digest)).toBe(true);
});

it('does not discard what is being registered at the same moment', async () => {
  const artifact = await put('race');
  let commit: () => void = () => undefined;
  let locked: () => void = () => undefined;
  const isLocked = new Promise<void>((resolve) => (locked = resolve));
  const registering = withTransaction(database.db, async (tx) => {
    await registerArtifact(tx, store, artifact);
    locked();
    await new Promise<void>((resolve) => (commit = resolve));
  });
  await isLocked;
  const discarding = discardUnreferenced(database.db, store, artifact.digest);
  commit();
  await Promise.all([registering, discarding]);
  expect(await store.has(artifact.digest)).toBe(true);
});

it('refuses to name bytes that have been discarded since', async () => {
  const artifact = await put('discarded');
  await discardUnreferenced(database.db, store, artifact.digest);
  const work = withTransaction(database.db, (tx) => registerArtifact(tx, store, artifact));
  await expect(work).rejects.toMatchObject({ code: 'artifact_vanished', status: 503 });
});

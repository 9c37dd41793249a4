import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createUploads } from '../../src/platform/base-sources/index.ts';
import { artifactCollectionTask } from '../../src/operations/housekeeping/collection/artifact-collection.ts';
import { filesOf, PART_BYTES, startVerifier, uploader } from '../integration/base-uploads/support.ts';
import { createTestApp, type TestApp } from '../integration/support/index.ts';
import { BASE } from '../unit/training/support/tiny-task.ts';
import { openTestStore } from './support/open-test-store.ts';
import { startS3Server, type S3Server } from './support/versitygw.ts';

let server: S3Server;
let app: TestApp;
let folder: string;
let verifier: ReturnType<typeof startVerifier>;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-s3-uploads-'));
  server = await startS3Server();
  const { store: artifacts } = await openTestStore(server, { prefix: 'uploads', dataDir: path.join(folder, 'api') });
  app = await createTestApp({ env: { READAPT_BASE_UPLOAD_PART_BYTES: String(PART_BYTES) }, deps: { artifacts } });
  verifier = startVerifier(app);
});
afterAll(async () => {
  await verifier?.stop();
  await app?.close();
  await server?.remove();
  await rm(folder, { recursive: true, force: true });
});

test('parts of an upload are objects, from which a machine that has nothing else reads the files', async () => {
  const api = uploader(app);
  const files = await filesOf(BASE);
  const id = await api.send(files);
  expect(await api.finish(id)).toMatchObject({ state: 'complete', error: null });

  // Store on a worker's machine.
  const { store, client } = await openTestStore(server, { prefix: 'uploads', dataDir: path.join(folder, 'worker') });
  const uploads = createUploads({ db: app.db, artifacts: store });
  const source = { kind: 'upload', id } as const;
  const pinned = await uploads.pin(source);
  const { signal } = new AbortController();
  for (const file of pinned.files) {
    const { content } = files.find(({ name }) => name === file.name)!;
    const from = Math.min(file.size, PART_BYTES + 7);
    const chunks: Uint8Array[] = [];
    for await (const chunk of uploads.read(source, file, { from, signal })) chunks.push(chunk);
    expect(Buffer.concat(chunks).equals(content.subarray(from)), file.name).toBe(true);
  }

  const objects = async () => (await client.keys('uploads')).filter((key) => key.startsWith('sha256/')).length;
  const collect = () => artifactCollectionTask({ db: app.db, artifacts: store, graceMs: 0 }).run(signal);
  const before = await objects();
  expect(before).toBeGreaterThanOrEqual(files.length);
  await collect();
  expect(await objects()).toBe(before);
  expect((await app.request({ method: 'DELETE', url: `/v1/base-model-uploads/${id}` })).statusCode).toBe(204);
  await collect();
  expect(await objects()).toBe(0);
});

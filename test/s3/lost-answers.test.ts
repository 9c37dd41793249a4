import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { AbortMultipartUploadCommand, CreateMultipartUploadCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createLocalCache } from '../../src/platform/artifacts/cache/local-cache.ts';
import type { ArtifactStore } from '../../src/platform/artifacts/index.ts';
import { openS3Store } from '../../src/platform/artifacts/opening/open-s3-store.ts';
import type { Bucket } from '../../src/platform/artifacts/s3/bucket.ts';
import { createS3Store } from '../../src/platform/artifacts/s3/s3-store.ts';
import { openTemporaries } from '../../src/platform/artifacts/temporaries.ts';
import { loadConfig } from '../../src/platform/config/config.ts';
import { viewOf } from './support/open-test-store.ts';
import { startS3Server, type S3Server } from './support/versitygw.ts';

let server: S3Server;
let folder: string;
let prefix: string;
let bucket: Bucket;

beforeAll(async () => {
  server = await startS3Server();
});
afterAll(() => server.remove());
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-s3-lost-'));
  prefix = randomUUID();
  const given = { ...server.env(prefix), READAPT_DATA_DIR: path.join(folder, 'data') };
  // The SDK reads the credentials from its usual environment variables.
  Object.assign(process.env, given);
  const config = loadConfig(given);
  ({ bucket } = await openS3Store(config.artifacts!, config));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function storeWith(put: Bucket['put']): Promise<ArtifactStore> {
  const temporaries = await openTemporaries(path.join(folder, 'cache'));
  const cache = await createLocalCache({ temporaries, limitBytes: 2 ** 20 });
  return createS3Store({ bucket: { ...bucket, put }, cache, temporaries });
}

async function source(): Promise<string> {
  const made = await mkdtemp(path.join(folder, 'source-'));
  await writeFile(path.join(made, 'weights'), 'what is served');
  return made;
}

test('a folder keeps its files where its manifest was sent twice, because the first answer was lost', async () => {
  const store = await storeWith(async (...given) => {
    await bucket.put(...given);
    return bucket.put(...given);
  });
  const { digest } = await store.putFolder(await source(), 'adapter');
  await store.verify(digest);
});

test('a folder keeps its files where its manifest has arrived and nobody was told', async () => {
  const put = await source();
  const failing = await storeWith(async (...given) => {
    await bucket.put(...given);
    throw new Error('the answer was lost');
  });
  await expect(failing.putFolder(put, 'adapter')).rejects.toThrow('the answer was lost');
  const store = await storeWith(bucket.put);
  const { digest } = await store.putFolder(put, 'adapter');
  await store.verify(digest);
  expect(await store.removeLeftovers(0)).toBe(0);
  await store.verify(digest);
});

test('the files of a folder whose manifest has not arrived are left to the collector', async () => {
  const failing = await storeWith(() => Promise.reject(new Error('the service is away')));
  await expect(failing.putFolder(await source(), 'adapter')).rejects.toThrow('away');
  const store = await storeWith(bucket.put);
  expect(await store.removeLeftovers(0)).toBe(1);
  expect(await viewOf(server).keys(prefix)).toEqual([]);
});

test.each(['', 'quarantine/'])('uploads of others below the same prefix are not aborted: %s', async (below) => {
  const { s3 } = viewOf(server);
  const upload = { Bucket: server.bucket, Key: `${prefix}/${below}of-somebody-else` };
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand(upload));
  const store = await storeWith(bucket.put);
  expect(await store.removeLeftovers(-60_000)).toBe(0);
  // Fails if the upload no longer exists.
  await s3.send(new AbortMultipartUploadCommand({ ...upload, UploadId }));
});

// MinIO lists only the uploads of one key and aborts day-old ones by itself.
test.runIf(process.env.READAPT_MINIO === undefined)('a copy into quarantine that was killed is aborted', async () => {
  const Key = `${prefix}/quarantine/sha256/ab/cdef.file`;
  await viewOf(server).s3.send(new CreateMultipartUploadCommand({ Bucket: server.bucket, Key }));
  const store = await storeWith(bucket.put);
  expect(await store.removeLeftovers(-60_000)).toBe(1);
  expect(await store.removeLeftovers(-60_000)).toBe(0);
});

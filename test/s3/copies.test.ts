import { createCipheriv, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { HeadObjectCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { hashFile } from '../../src/platform/artifacts/durable-files.ts';
import { openS3Store } from '../../src/platform/artifacts/opening/open-s3-store.ts';
import type { Bucket } from '../../src/platform/artifacts/s3/bucket.ts';
import { loadConfig } from '../../src/platform/config/config.ts';
import { openTestStore, type BucketView } from './support/open-test-store.ts';
import { startS3Server, type S3Server } from './support/versitygw.ts';

const MIB = 2 ** 20;

let server: S3Server;
let folder: string;
let prefix: string;
let view: BucketView;
let bucket: Bucket;
let content: Buffer;

beforeAll(async () => {
  server = await startS3Server();
});
afterAll(() => server.remove());
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-s3-copies-'));
  prefix = randomUUID();
  ({ client: view } = await openTestStore(server, { prefix, dataDir: folder }));
  const config = loadConfig({ ...server.env(prefix), READAPT_DATA_DIR: folder });
  ({ bucket } = await openS3Store(config.artifacts!, config));
  // Bytes without repetition, the same in each run.
  content = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(12 * MIB + 1));
  const file = path.join(folder, 'content');
  await writeFile(file, content);
  await bucket.putFile('from', { path: file, ...(await hashFile(file)) }, { entry: 'folder', put: 'p' });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const copied = async () => view.s3.send(new HeadObjectCommand({ Bucket: server.bucket, Key: `${prefix}/to` }));

test('an object that is too large for one copy is copied in parts, with its metadata', async () => {
  await bucket.copy('from', 'to', 5 * MIB);
  const { ETag, Metadata, ContentLength } = await copied();
  expect([ContentLength, Metadata]).toEqual([content.length, { entry: 'folder', put: 'p' }]);
  expect(ETag).toMatch(/-3"$/);
  expect((await buffer(bucket.read('to'))).equals(content)).toBe(true);
});

test('a smaller one is copied at once, with its metadata', async () => {
  await bucket.copy('from', 'to');
  expect((await copied()).ETag).not.toMatch(/-\d+"$/);
  expect((await copied()).Metadata).toEqual({ entry: 'folder', put: 'p' });
  expect((await buffer(bucket.read('to'))).equals(content)).toBe(true);
});

test('a copy in parts that fails leaves neither an object nor an upload', async () => {
  // S3 accepts no parts below 5 MiB except the last, which it reports only at the end.
  await expect(bucket.copy('from', 'to', MIB)).rejects.toThrow();
  await expect(copied()).rejects.toMatchObject({ $metadata: { httpStatusCode: 404 } });
  const { Uploads = [] } = await view.s3.send(new ListMultipartUploadsCommand({ Bucket: server.bucket }));
  expect(Uploads).toEqual([]);
});

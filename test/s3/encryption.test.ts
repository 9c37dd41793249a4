import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { HeadObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { hashFile } from '../../src/platform/artifacts/durable-files.ts';
import { createBucket } from '../../src/platform/artifacts/s3/bucket.ts';
import { createS3Client } from '../../src/platform/artifacts/s3/s3-client.ts';
import { startS3Server, type S3Server } from './support/versitygw.ts';

const MIB = 2 ** 20;
/** Whether the server encrypts. The other one accepts the headers and ignores them. */
const ENCRYPTS = process.env.READAPT_MINIO !== undefined;
const KEY = 'readapt-test-key';

let server: S3Server;
let client: S3Client;
let folder: string;
let prefix: string;
/** Commands sent, with the encryption that their requests ask for. */
let sent: Record<string, (string | undefined)[]>;

beforeAll(async () => {
  server = await startS3Server();
  for (const [name, value] of Object.entries(server.env(''))) vi.stubEnv(name, value);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await server?.remove();
});
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-s3-encryption-'));
  prefix = `${randomUUID()}/`;
  sent = {};
  client = createS3Client({ s3Endpoint: server.endpoint, s3PathStyle: null });
  client.middlewareStack.add(
    (next, { commandName = '' }) =>
      (given) => {
        const { headers } = given.request as { headers: Record<string, string> };
        const said = ['', '-aws-kms-key-id'].map((end) => headers[`x-amz-server-side-encryption${end}`]);
        sent[commandName] = said;
        return next(given);
      },
    { step: 'finalizeRequest', name: 'seen' },
  );
});
afterEach(async () => {
  client.destroy();
  await rm(folder, { recursive: true, force: true });
});

const bucketWith = (encryption: string | null) => createBucket(client, { bucket: server.bucket, prefix }, encryption);
async function fileOf(bytes: number) {
  const file = path.join(folder, 'content');
  await writeFile(file, Buffer.alloc(bytes, 7));
  return { path: file, ...(await hashFile(file)) };
}
async function encryptionOf(key: string) {
  const found = await client.send(new HeadObjectCommand({ Bucket: server.bucket, Key: `${prefix}${key}` }));
  return [found.ServerSideEncryption, found.SSEKMSKeyId?.replace('arn:aws:kms:', '')];
}

describe.each([
  ['AES256', 'AES256', undefined],
  ['aws:kms', 'aws:kms', undefined],
  [`aws:kms:${KEY}`, 'aws:kms', KEY],
])('READAPT_S3_ENCRYPTION=%s', (setting, algorithm, keyId) => {
  const asked = [algorithm, keyId];
  /** If the setting names no key, the server uses its own. */
  const stored = [algorithm, algorithm === 'AES256' ? undefined : KEY];

  test('goes with each put, and nothing else is needed to read', async () => {
    const bucket = bucketWith(setting);
    await bucket.putFile('small', await fileOf(10));
    await bucket.put('manifest', Buffer.from('x'), { ifAbsent: true });
    expect(sent).toEqual({ PutObjectCommand: asked });
    for await (const chunk of bucket.read('small')) expect(chunk).toHaveLength(10);
    expect(sent.GetObjectCommand).toEqual([undefined, undefined]);
    if (ENCRYPTS) expect([await encryptionOf('small'), await encryptionOf('manifest')]).toEqual([stored, stored]);
  });

  test('goes with what begins an upload in parts, and with each copy', async () => {
    const bucket = bucketWith(setting);
    await bucket.putFile('large', await fileOf(17 * MIB));
    expect(sent.CreateMultipartUploadCommand).toEqual(asked);
    sent = {};
    await bucket.copy('large', 'copied');
    expect(sent.CopyObjectCommand).toEqual(asked);
    await bucket.copy('large', 'copied-in-parts', 9 * MIB);
    expect(sent.CreateMultipartUploadCommand).toEqual(asked);
    if (!ENCRYPTS) return;
    for (const key of ['large', 'copied', 'copied-in-parts']) expect(await encryptionOf(key), key).toEqual(stored);
  });
});

test('without the setting, nothing is said, so that it is the bucket’s to decide', async () => {
  await bucketWith(null).putFile('small', await fileOf(10));
  expect(sent).toEqual({ PutObjectCommand: [undefined, undefined] });
});

test.runIf(ENCRYPTS)('a key that the server does not have is an error that names the setting', async () => {
  const put = bucketWith('aws:kms:no-such-key').put('x', Buffer.from('x'));
  await expect(put).rejects.toMatchObject({
    code: 'storage_away',
    message: expect.stringMatching(/refuses the encryption \(.+\), which is that of READAPT_S3_ENCRYPTION/) as string,
  });
});

import { fork } from 'node:child_process';
import { createCipheriv, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { HeadObjectCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { ArtifactStore } from '../../src/platform/artifacts/index.ts';
import { compiledModule } from '../compiled/index.ts';
import { eventually } from '../eventually.ts';
import { openTestStore, type BucketView } from './support/open-test-store.ts';
import { startS3Server, type S3Server } from './support/versitygw.ts';

const CHILD = fileURLToPath(new URL('./support/putting-child.ts', import.meta.url));
const MIB = 2 ** 20;

let server: S3Server;
let folder: string;
let prefix: string;
let store: ArtifactStore;
let view: BucketView;

beforeAll(async () => {
  server = await startS3Server();
});
afterAll(() => server.remove());
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-s3-faults-'));
  prefix = randomUUID();
  ({ store, client: view } = await openTestStore(server, { prefix, dataDir: path.join(folder, 'data') }));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const uploads = async () => {
  const { Uploads = [] } = await view.s3.send(new ListMultipartUploadsCommand({ Bucket: server.bucket }));
  return Uploads.length;
};

/** Puts a file or folder in a separate process and kills it when a condition holds. */
async function killedPut(source: string, when: () => Promise<boolean>): Promise<void> {
  const env = { ...process.env, ...server.env(prefix), READAPT_DATA_DIR: path.join(folder, 'other') };
  const child = fork(compiledModule(CHILD), [source], { execArgv: [], env });
  const exit = once(child, 'exit') as Promise<[number | null, string | null]>;
  await eventually('the put is half-way', when);
  child.kill('SIGKILL');
  expect((await exit)[1]).toBe('SIGKILL');
}

/** Creates a file of bytes without repetition, the same in each run. */
async function largeFile(name: string, bytes: number): Promise<{ file: string; content: Buffer }> {
  const content = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(bytes));
  const file = path.join(folder, name);
  await writeFile(file, content);
  return { file, content };
}

test('a large file is sent in parts, and comes back as it was', async () => {
  const { file, content } = await largeFile('large', 40 * MIB + 1);
  const { digest, bytes } = await store.putFile(file, 'dataset');
  expect(bytes).toBe(content.length);
  const Key = `${prefix}/sha256/${digest.slice(7, 9)}/${digest.slice(9)}`;
  const { ETag } = await view.s3.send(new HeadObjectCommand({ Bucket: server.bucket, Key }));
  expect(ETag).toMatch(/-3"$/);
  expect((await buffer(await store.createReadStream(digest))).equals(content)).toBe(true);
  await store.verify(digest);
  expect(await uploads()).toBe(0);
});

test('a process that is killed in the middle of a folder leaves nothing but what the collector removes', async () => {
  const source = path.join(folder, 'source');
  await mkdir(source);
  for (let i = 0; i < 150; i++) await writeFile(path.join(source, `${i}`), `file ${i}`);
  await killedPut(source, async () => (await view.keys(prefix)).length > 5);
  expect((await view.keys(prefix)).filter((key) => key.startsWith('sha256/'))).toEqual([]);
  expect(await store.removeLeftovers(3_600_000), 'it is too young').toBe(0);
  const { digest } = await store.putFolder(source, 'adapter');
  await store.verify(digest);
  expect(await store.removeLeftovers(0)).toBe(1);
  await store.verify(digest);
  expect((await view.keys(prefix)).filter((key) => key.startsWith('folders/'))).toHaveLength(150);
  expect(await store.removeLeftovers(0)).toBe(0);
});

/** Whether the server lists all uploads. MinIO lists only those of one key and aborts day-old ones by itself. */
const listsUploads = process.env.READAPT_MINIO === undefined;

test.runIf(listsUploads)(
  'a process that is killed in the middle of a large file leaves no object, and an upload that the collector aborts',
  async () => {
    const { file } = await largeFile('large', 200 * MIB);
    await killedPut(file, async () => (await uploads()) > 0);
    expect(await view.keys(prefix)).toEqual([]);
    expect(await store.removeLeftovers(3_600_000), 'it is too young').toBe(0);
    await eventually('a second has passed', async () => (await store.removeLeftovers(0)) === 1);
    expect(await uploads()).toBe(0);
  },
);

test('a server that does not answer is away, and work goes on when it is back', async () => {
  const { digest } = await store.putFile(Readable.from([Buffer.from('kept')]), 'dataset');
  await server.kill();
  const away = { code: 'storage_away', status: 503, message: 'the artifact store does not answer' };
  await expect(store.has(digest)).rejects.toMatchObject(away);
  await expect(store.putFile(Readable.from([Buffer.from('new')]), 'dataset')).rejects.toMatchObject(away);
  await expect(store.localPath(digest)).rejects.toMatchObject(away);
  await expect(store.checkWritable()).rejects.toMatchObject(away);
  await server.start();
  expect(await readFile(await store.localPath(digest), 'utf8')).toBe('kept');
  await store.putFile(Readable.from([Buffer.from('new')]), 'dataset');
});

test('a copy that is here serves while the server is away', async () => {
  const { digest } = await store.putFile(Readable.from([Buffer.from('kept')]), 'dataset');
  await store.localPath(digest);
  await server.kill();
  expect(await readFile(await store.localPath(digest, { verify: true }), 'utf8')).toBe('kept');
  await server.start();
});

test('wrong credentials and a missing bucket are told from a missing artifact', async () => {
  const refused = await openTestStore(server, {
    prefix,
    dataDir: path.join(folder, 'data'),
    env: { READAPT_ARTIFACTS: 's3://no-such-bucket/x' },
  });
  const put = refused.store.putFile(Readable.from([Buffer.from('x')]), 'dataset');
  await expect(put).rejects.toMatchObject({
    code: 'storage_away',
    message: expect.stringContaining('NoSuchBucket') as string,
  });
});

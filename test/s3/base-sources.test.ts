import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createS3Client } from '../../src/platform/artifacts/s3/s3-client.ts';
import {
  createSources,
  pinnedFilesKey,
  parseRemoteSource,
  type PinnedFiles,
} from '../../src/platform/base-sources/index.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { BaseFileCache } from '../../workers/bases/base-file-cache.ts';
import { BASE } from '../unit/training/support/tiny-task.ts';
import { PATIENCE_MS } from '../patience.ts';
import { startS3Server, type S3Server } from './support/versitygw.ts';

let server: S3Server;
let client: S3Client;
let folder: string;

beforeAll(async () => {
  server = await startS3Server({ keepsVersions: true });
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = server.env('');
  vi.stubEnv('AWS_ACCESS_KEY_ID', AWS_ACCESS_KEY_ID);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', AWS_SECRET_ACCESS_KEY);
  client = createS3Client({ s3Endpoint: server.endpoint, s3PathStyle: null });
});
afterAll(async () => {
  vi.unstubAllEnvs();
  client?.destroy();
  await server?.remove();
});
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-bases-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const put = (key: string, body: Buffer | string) =>
  client.send(new PutObjectCommand({ Bucket: server.bucket, Key: key, Body: body }));
const sourcesAt = (s3Endpoint = server.endpoint) =>
  createSources({ hubUrl: 'http://127.0.0.1:9', hubToken: null, s3Endpoint, s3PathStyle: null });
const pin = (prefix: string, sources = sourcesAt(), bucket = server.bucket) =>
  sources.pin(parseRemoteSource(`s3://${bucket}/${prefix}`)!, {
    token: null,
    signal: AbortSignal.timeout(PATIENCE_MS),
  });

async function upload(prefix: string): Promise<PinnedFiles> {
  for (const name of await readdir(BASE)) await put(`${prefix}/${name}`, await readFile(path.join(BASE, name)));
  await put(`${prefix}/training_args.bin`, 'a pickle');
  await put(`${prefix}/onnx/config.json`, '{}');
  return pin(prefix);
}

function fetchBase({ source, files }: PinnedFiles, sources = sourcesAt()) {
  const logger = createLogger({ level: 'silent', pretty: false });
  const cache = new BaseFileCache({ folder, maxBytes: 1e9, loaded: () => [], logger });
  const options = { sources, source, token: null, firstDelayMs: 1, streams: 4, onProgress: () => undefined };
  const base = { key: pinnedFilesKey({ source, files }), files };
  return { cache, hashes: cache.fetch(base, { ...options, signal: AbortSignal.timeout(PATIENCE_MS) }) };
}

test('the files of a model are pinned by their ETags, fetched, and compared with the first fetch later', async () => {
  const pinned = await upload('models/one');
  expect(pinned.files.map(({ name }) => name)).toEqual(
    (await readdir(BASE)).filter((name) => /\.(json|safetensors|jinja)$|^(merges|vocab)\.txt$/.test(name)).sort(),
  );
  expect(pinned.files.every(({ etag }) => (etag ?? '') !== '')).toBe(true);
  expect(pinned.files.every(({ versionId }) => versionId === null)).toBe(true);
  const { cache, hashes } = fetchBase(pinned);
  const found = await hashes;
  for (const { name } of pinned.files) {
    expect(await readFile(path.join(cache.folderOf(pinnedFilesKey(pinned)), name))).toEqual(
      await readFile(path.join(BASE, name)),
    );
  }
  await rm(cache.folderOf(pinnedFilesKey(pinned)), { recursive: true });
  const files = pinned.files.map((file) => ({ ...file, sha256: found!.get(file.name)!.replace(/^./, 'x') }));
  await expect(fetchBase({ ...pinned, files }).hashes).rejects.toMatchObject({ code: 'source_corrupt' });
});

test('an object that was replaced is not taken for the one that was registered', async () => {
  const pinned = await upload('models/two');
  const weights = await readFile(path.join(BASE, 'model.safetensors'));
  await put('models/two/model.safetensors', Buffer.from(weights.map((byte) => byte ^ 1)));
  const refused = expect(fetchBase(pinned).hashes).rejects;
  await refused.toMatchObject({ code: 'source_changed', hope: 'never' });
  await refused.toThrow(
    /model\.safetensors of s3:\/\/artifacts\/models\/two is not the object any more .* new version/,
  );
});

describe('a bucket that keeps versions', () => {
  const Bucket = 'versioned';
  const at = (prefix: string) => ({ Bucket, Key: `${prefix}/model.safetensors` });

  beforeAll(async () => {
    await client.send(new CreateBucketCommand({ Bucket }));
    const VersioningConfiguration = { Status: 'Enabled' } as const;
    await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
  });

  async function uploadVersioned(prefix: string): Promise<PinnedFiles> {
    for (const name of await readdir(BASE)) {
      const Body = await readFile(path.join(BASE, name));
      await client.send(new PutObjectCommand({ Bucket, Key: `${prefix}/${name}`, Body }));
    }
    return pin(prefix, sourcesAt(), Bucket);
  }

  const replace = (prefix: string) => client.send(new PutObjectCommand({ ...at(prefix), Body: 'other weights' }));
  const weightsIn = async (cache: BaseFileCache, pinned: PinnedFiles) =>
    readFile(path.join(cache.folderOf(pinnedFilesKey(pinned)), 'model.safetensors'));

  test.each([
    ['was replaced', replace],
    ['was deleted', (prefix: string) => client.send(new DeleteObjectCommand(at(prefix)))],
  ])('gives an object that %s in the version that was registered', async (what, change) => {
    const prefix = what.replace(' ', '-');
    const pinned = await uploadVersioned(prefix);
    expect(pinned.files.every(({ versionId }) => (versionId ?? '') !== '')).toBe(true);
    await change(prefix);
    const { cache, hashes } = fetchBase(pinned);
    await hashes;
    expect(await weightsIn(cache, pinned)).toEqual(await readFile(path.join(BASE, 'model.safetensors')));
  });

  test('fails a fetch of an object whose version is gone, too', async () => {
    const pinned = await uploadVersioned('expired');
    const { versionId } = pinned.files.find(({ name }) => name === 'model.safetensors')!;
    await replace('expired');
    await client.send(new DeleteObjectCommand({ ...at('expired'), VersionId: versionId! }));
    await expect(fetchBase(pinned).hashes).rejects.toMatchObject({ code: 'source_not_found', hope: 'never' });
  });

  test('gives what is there as long as it is the same, though the version is gone', async () => {
    const pinned = await uploadVersioned('again');
    const files = pinned.files.map((file) => ({ ...file, versionId: 'no-such-version' }));
    await fetchBase({ ...pinned, files }).hashes;
  });
});

test('what is wrong with a place is said with the setting that may be wrong', async () => {
  await expect(pin('nothing/here')).rejects.toMatchObject({ code: 'source_not_found' });
  await put('pickles/config.json', '{}');
  await put('pickles/pytorch_model.bin', 'a pickle');
  await expect(pin('pickles')).rejects.toThrow(/pytorch_model\.bin, a pickle/);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'wrong');
  try {
    await expect(pin('models/one')).rejects.toThrow(
      /may not read s3:\/\/artifacts\/models\/one .* AWS_SECRET_ACCESS_KEY/,
    );
  } finally {
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', server.env('').AWS_SECRET_ACCESS_KEY);
  }
  const nobody = expect(pin('models/one', sourcesAt('http://127.0.0.1:9'))).rejects;
  await nobody.toMatchObject({ code: 'source_unreachable' });
  await nobody.toThrow(/check READAPT_S3_ENDPOINT/);
});

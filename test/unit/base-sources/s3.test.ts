import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createSources, download, type SourceFile } from '../../../src/platform/base-sources/index.ts';
import { PATIENCE_MS } from '../../patience.ts';
import { startRangelessS3, type RangelessS3 } from './support/rangeless-s3.ts';

const WEIGHTS = Buffer.from(Array.from({ length: 200_000 }, (_, at) => at % 251));
const SHA256 = createHash('sha256').update(WEIGHTS).digest('hex');
const FILE: SourceFile = {
  name: 'model.safetensors',
  size: WEIGHTS.length,
  // A bucket reports no hash for an object that no worker has fetched yet.
  sha256: null,
  gitSha1: null,
  etag: '"1"',
  versionId: null,
};
const source = { kind: 's3', bucket: 'models', prefix: 'llama' } as const;

let s3: RangelessS3;
let folder: string;

beforeEach(async () => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'key');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
  s3 = await startRangelessS3();
  s3.objects.set('/models/llama/model.safetensors', WEIGHTS);
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-s3-source-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await s3.close();
  await rm(folder, { recursive: true, force: true });
});

const sourcesAt = (s3Endpoint: string | null = s3.url) =>
  createSources({ hubUrl: 'http://127.0.0.1:9', hubToken: null, s3Endpoint, s3PathStyle: null });
const signal = () => AbortSignal.timeout(PATIENCE_MS);

function fetchFile(onBytes: (bytes: number) => void = () => undefined): Promise<string> {
  const options = { sources: sourcesAt(), source, token: null, firstDelayMs: 1, onBytes };
  return download(folder, FILE, { ...options, signal: signal() });
}

describe('a service that ignores ranges', () => {
  test('gives a file whose connection was cut with the right bytes', async () => {
    s3.cuts.push(70_000, 130_000);
    expect(await fetchFile()).toBe(SHA256);
    expect((await readFile(path.join(folder, FILE.name))).equals(WEIGHTS)).toBe(true);
  });
});

describe('what a service says by a refusal', () => {
  const pin = (sources = sourcesAt(), bucket = 'models') =>
    sources.pin({ ...source, bucket }, { token: null, signal: signal() });
  const answer = (status: number, code: string) => (response: ServerResponse) =>
    void response.writeHead(status).end(`<Error><Code>${code}</Code><Message>no</Message></Error>`);

  test.each([
    [400, 'InvalidBucketName', 'source_refused'],
    [400, 'KeyTooLongError', 'source_refused'],
    [301, 'PermanentRedirect', 'source_refused'],
    [400, 'ExpiredToken', 'source_unauthorized'],
    [400, 'RequestTimeout', 'source_unreachable'],
    [503, 'SlowDown', 'source_unreachable'],
  ])('%i %s', async (status, code, meaning) => {
    s3.refuse = answer(status, code);
    await expect(pin()).rejects.toMatchObject({ code: meaning });
  });

  test('tells tenants the status, and no setting', async () => {
    s3.refuse = answer(400, 'InvalidBucketName');
    await expect(pin()).rejects.toThrow(/^s3:\/\/models\/llama is refused \(HTTP 400, InvalidBucketName\)[^_]*$/);
  });

  test('a bucket whose name has a meaning of its own', async () => {
    vi.stubEnv('AWS_REGION', 'us-east-1');
    await expect(pin(sourcesAt(null), 'models--x-s3')).rejects.toMatchObject({ code: 'source_refused' });
  });
});

test('nothing is left of a file that is longer than it was', async () => {
  let there = 0;
  s3.objects.set('/models/llama/model.safetensors', Buffer.concat([Buffer.alloc(10, 1), WEIGHTS]));
  await expect(fetchFile((bytes) => (there += bytes))).rejects.toMatchObject({ code: 'source_changed' });
  expect(there).toBe(0);
  s3.objects.set('/models/llama/model.safetensors', WEIGHTS);
  expect(await fetchFile()).toBe(SHA256);
});

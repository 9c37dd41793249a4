import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSources, keyOf, parseRemoteSource, readWhole, type PinnedSource } from '../../../src/base-sources/index.ts';
import { startHub, type HubServer } from './support/hub-server.ts';

const REPO = 'acme/assistant';
const CONFIG = Buffer.from('{"model_type":"llama"}');
const WEIGHTS = Buffer.alloc(300_000, 7);
const FILES = new Map([
  ['README.md', Buffer.from('# A model')],
  ['config.json', CONFIG],
  ['model.safetensors', WEIGHTS],
  ['pytorch_model.bin', Buffer.from('a pickle')],
  ['tokenizer.json', Buffer.from('{}')],
  ['training_args.bin', Buffer.from('another pickle')],
]);

let hub: HubServer;

beforeEach(async () => {
  hub = await startHub();
});
afterEach(() => hub.close());

const sourcesWith = (hubToken: string | null = null) =>
  createSources({ hubUrl: hub.url, hubToken, s3Endpoint: null, s3PathStyle: null });
const request = (token: string | null = null) => ({ token, signal: AbortSignal.timeout(10_000) });
const source = parseRemoteSource(`hf://${REPO}`)!;

describe('texts of sources', () => {
  test.each([
    ['hf://acme/assistant', { kind: 'hub', repo: REPO, revision: 'main' }],
    ['hf://acme/assistant@refs/pr/1', { kind: 'hub', repo: REPO, revision: 'refs/pr/1' }],
    ['s3://models', { kind: 's3', bucket: 'models', prefix: '' }],
    ['s3://models/llama/v2/', { kind: 's3', bucket: 'models', prefix: 'llama/v2' }],
    ['hf://acme', null],
    ['hf://../../etc@main', null],
    ['hf://acme/assistant@../main', null],
    ['hf://acme/assistant@a@b', null],
    ['s3://models/../secrets', null],
    ['https://example.com/model', null],
    ['/models/llama', null],
  ])('%s', (text, expected) => {
    expect(parseRemoteSource(text)).toEqual(expected);
  });
});

describe('pin', () => {
  test('takes the commit of the revision, and the files of a model with their hashes', async () => {
    const commit = hub.publish(REPO, FILES);
    const pinned = await sourcesWith().pin(source, request());
    expect(pinned.source).toEqual({ ...source, commit, hasToken: false });
    expect(pinned.files).toEqual([
      { name: 'config.json', size: CONFIG.length, sha256: null, gitSha1: gitSha1(CONFIG), etag: null, versionId: null },
      { name: 'model.safetensors', size: 300_000, sha256: sha256(WEIGHTS), gitSha1: null, etag: null, versionId: null },
      expect.objectContaining({ name: 'tokenizer.json' }),
    ]);
  });

  test('stays with its commit when the branch moves on', async () => {
    hub.publish(REPO, FILES);
    const first = await sourcesWith().pin(source, request());
    hub.publish(REPO, new Map([...FILES, ['config.json', Buffer.from('{"model_type":"other"}')]]));
    const second = await sourcesWith().pin(source, request());
    expect(keyOf(second)).not.toBe(keyOf(first));
    const { commit } = first.source as Extract<PinnedSource, { kind: 'hub' }>;
    expect(keyOf(await sourcesWith().pin(parseRemoteSource(`hf://${REPO}@${commit}`)!, request()))).toBe(
      keyOf(first),
    );
    expect(await readWhole(sourcesWith(), first.source, first.files[0]!, request())).toEqual(CONFIG);
  });

  test('refuses pickles by name, and says what to do', async () => {
    hub.publish(REPO, new Map([...FILES].filter(([name]) => name !== 'model.safetensors')));
    await expect(sourcesWith().pin(source, request())).rejects.toThrow(
      /hf:\/\/acme\/assistant@main has its weights as pytorch_model\.bin, a pickle, .* convert it to safetensors/,
    );
  });

  test('lets a token of the source, or else of the process, in', async () => {
    hub.publish(REPO, FILES, 'secret');
    await expect(sourcesWith().pin(source, request())).rejects.toMatchObject({ code: 'source_unauthorized' });
    await expect(sourcesWith('secret').pin(source, request())).resolves.toBeDefined();
    await expect(sourcesWith('other').pin(source, request('secret'))).resolves.toBeDefined();
    await expect(sourcesWith('secret').pin(source, request('other'))).rejects.toThrow(/READAPT_HUB_TOKEN/);
    await expect(sourcesWith().pin(source, request('other'))).rejects.not.toThrow(/other/);
  });

  test.each([
    [404, 'source_not_found', /check its name and revision, and READAPT_HUB_URL/],
    [403, 'source_unauthorized', /READAPT_HUB_TOKEN/],
    [429, 'source_unreachable', /limits requests/],
    [502, 'source_unreachable', /HTTP 502.*READAPT_HUB_URL/],
  ])('says what an answer of %i means', async (status, code, message) => {
    hub.publish(REPO, FILES);
    hub.fault = () => ({ status });
    const refused = expect(sourcesWith().pin(source, request())).rejects;
    await refused.toMatchObject({ code });
    await refused.toThrow(message);
  });

  test('says which address does not answer', async () => {
    const nobody = createSources({ hubUrl: 'http://127.0.0.1:9', hubToken: null, s3Endpoint: null, s3PathStyle: null });
    const refused = expect(nobody.pin(source, request())).rejects;
    await refused.toThrow(
      /the hub http:\/\/127\.0\.0\.1:9 could not be read at hf:\/\/acme\/assistant@main \(.+\): check READAPT_HUB_URL/,
    );
    await refused.toMatchObject({ code: 'source_unreachable' });
  });
});

describe('read', () => {
  test('goes on at a byte, and shows the token to the hub alone', async () => {
    hub.publish(REPO, FILES, 'secret');
    const sources = sourcesWith('secret');
    const pinned = await sources.pin(source, request());
    hub.requests.length = 0;
    const read = sources.read(pinned.source, pinned.files[1]!, { ...request(), from: 299_000 });
    expect(await joined(read)).toEqual(WEIGHTS.subarray(299_000));
    expect(hub.requests).toMatchObject([
      { large: false, range: 'bytes=299000-', authorization: 'Bearer secret' },
      { large: true, range: 'bytes=299000-', authorization: null },
    ]);
  });

  test('skips what it has where the server sends the whole file', async () => {
    hub.publish(REPO, FILES);
    const sources = sourcesWith();
    const pinned = await sources.pin(source, request());
    hub.fault = () => ({ ignoreRange: true });
    const read = sources.read(pinned.source, pinned.files[1]!, { ...request(), from: 299_000 });
    expect(await joined(read)).toEqual(WEIGHTS.subarray(299_000));
  });
});

async function joined(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

function gitSha1(content: Buffer): string {
  return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
}

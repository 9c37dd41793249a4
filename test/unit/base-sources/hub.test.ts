import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  createSources,
  pinnedFilesKey,
  parseRemoteSource,
  readWhole,
  type PinnedFiles,
} from '../../../src/platform/base-sources/index.ts';
import { AppError } from '../../../src/platform/contract/errors.ts';
import { PATIENCE_MS } from '../../patience.ts';
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
const request = (token: string | null = null) => ({ token, signal: AbortSignal.timeout(PATIENCE_MS) });
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

  test('name no key that is longer than a bucket takes', () => {
    expect(parseRemoteSource(`s3://models/${'a'.repeat(1024)}`)).not.toBeNull();
    expect(parseRemoteSource(`s3://models/${'a'.repeat(1025)}`)).toBeNull();
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
    const commit = hub.publish(REPO, FILES);
    const first = await sourcesWith().pin(source, request());
    hub.publish(REPO, new Map([...FILES, ['config.json', Buffer.from('{"model_type":"other"}')]]));
    const second = await sourcesWith().pin(source, request());
    expect(pinnedFilesKey(second)).not.toBe(pinnedFilesKey(first));
    const again = await sourcesWith().pin(parseRemoteSource(`hf://${REPO}@${commit}`)!, request());
    expect(pinnedFilesKey(again)).toBe(pinnedFilesKey(first));
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
    [400, 'source_refused', /^the hub refuses to send hf:\/\/acme\/assistant@main \(HTTP 400\)/],
    [408, 'source_unreachable', /HTTP 408/],
    [429, 'source_unreachable', /limits requests/],
    [502, 'source_unreachable', /HTTP 502.*READAPT_HUB_URL/],
  ])('says what an answer of %i means', async (status, code, message) => {
    hub.publish(REPO, FILES);
    hub.fault = () => ({ status });
    const refused = expect(sourcesWith().pin(source, request())).rejects;
    await refused.toMatchObject({ code });
    await refused.toThrow(message);
  });

  test('says how long a hub wants to be left alone', async () => {
    hub.publish(REPO, FILES);
    hub.fault = ({ path }) => (path.includes('/tree/') ? { status: 429, retryAfter: 7 } : null);
    await expect(sourcesWith().pin(source, request())).rejects.toMatchObject({ retryAfterMs: 7000 });
  });

  test('takes an organization that is called like a kind of repositories for one', async () => {
    hub.publish('datasets/x', FILES);
    await sourcesWith().pin(parseRemoteSource('hf://datasets/x')!, request());
    expect(hub.requests.map(({ path }) => path)).toContainEqual(
      expect.stringMatching(/^\/api\/models\/datasets\/x\/tree\//),
    );
  });

  test('gives up a hub that says nothing for a minute', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const refused = expect(pinFrom(() => vi.advanceTimersByTime(60_000))).rejects;
      await refused.toMatchObject({ code: 'source_unreachable' });
      await refused.toThrow(/it took longer than 60000 ms/);
    } finally {
      vi.useRealTimers();
    }
  });

  test('leaves no time running for answers that have come', async () => {
    hub.publish(REPO, FILES);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      await sourcesWith().pin(source, request());
      const ofConnections = vi.getTimerCount();
      await sourcesWith().pin(source, request());
      await expect(sourcesWith().pin(parseRemoteSource('hf://acme/other')!, request())).rejects.toThrow(/has no/);
      expect(vi.getTimerCount()).toBe(ofConnections);
    } finally {
      vi.useRealTimers();
    }
  });

  test('asks whether it may list the repository that answers', async () => {
    hub.publish('acme/renamed', FILES);
    hub.rename(REPO, 'acme/renamed');
    const refusal = new AppError({ code: 'source_not_allowed', status: 422, message: 'it may not be read' });
    const checkRepo = vi.fn(() => {
      throw refusal;
    });
    await expect(sourcesWith().pin(source, { ...request(), checkRepo })).rejects.toBe(refusal);
    expect(checkRepo).toHaveBeenCalledExactlyOnceWith('acme/renamed');
    expect(hub.requests.some(({ path }) => path.includes('/tree/'))).toBe(false);
  });

  test.each([
    ['a name with a control character', { path: 'a\u0000.safetensors' }],
    ['a name that no file system takes', { path: `${'a'.repeat(250)}.safetensors` }],
    ['a negative size', { size: -1 }],
    ['a size that is no number', { size: 'much' }],
  ])('refuses %s', async (_, wrong) => {
    const entry = { type: 'file', oid: 'f'.repeat(40), size: 10, path: 'model.safetensors' };
    const tree = [{ ...entry, path: 'config.json' }, entry, { ...entry, ...wrong }];
    const refused = expect(pinFrom((response) => response.end(JSON.stringify(tree)))).rejects;
    await refused.toMatchObject({ code: 'source_refused' });
    await refused.toThrow(/lists a file ".*" of .* bytes, expected a size/);
  });

  test('reads no answer without end', async () => {
    const endless = (response: ServerResponse) => {
      const more = () => {
        while (!response.destroyed && response.write(' '.repeat(1 << 20)));
      };
      response.on('drain', more);
      more();
    };
    await expect(pinFrom(endless)).rejects.toThrow(/its answer has more than 33554432 bytes/);
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

/** Pins a model of a hub that answers requests for its tree with `answerTree`. */
async function pinFrom(answerTree: (response: ServerResponse) => void): Promise<PinnedFiles> {
  const server = createServer(({ url = '' }, response) => {
    response.setHeader('content-type', 'application/json');
    if (url.includes('/tree/')) answerTree(response);
    else response.end(JSON.stringify({ _id: '1', id: REPO, sha: 'a'.repeat(40), private: false, gated: false }));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const hubUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const sources = createSources({ hubUrl, hubToken: null, s3Endpoint: null, s3PathStyle: null });
    return await sources.pin(source, request());
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

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

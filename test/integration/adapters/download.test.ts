import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bearer } from '../support/index.ts';
import { createAdapterWorld, type AdapterWorld } from './support.ts';

let world: AdapterWorld;
let url: string;
let etag: string;
let digest: string;
let whole: Buffer;

beforeAll(async () => {
  world = await createAdapterWorld(['control']);
  const source = { base_model_version: 'control', path: world.fixture('control').adapter };
  const adapter = await world.createAdapter('download', { source });
  const version = `/v1/adapters/${adapter.id}/versions/${adapter.latest_version!.id}`;
  ({ digest } = (await world.request({ url: version })).json<{ digest: string }>());
  etag = `"${digest}"`;
  url = `${version}/download`;
  whole = (await get()).rawPayload;
});
afterAll(() => world.app.close());

const get = (headers: Record<string, string> = {}, method: 'GET' | 'HEAD' = 'GET') =>
  world.app.request({ url, headers, method, key: world.acme.key });

test('the length is known before the archive is read', async () => {
  for (const method of ['GET', 'HEAD'] as const) {
    const { statusCode, headers, rawPayload } = await get({}, method);
    expect([statusCode, rawPayload.length]).toEqual([200, method === 'GET' ? whole.length : 0]);
    expect(headers).toMatchObject({ etag, 'accept-ranges': 'bytes', 'content-length': String(whole.length) });
    expect(headers['content-type']).toBe('application/x-tar');
  }
});

describe('a range', () => {
  test.each([
    ['bytes=0-0', () => [0, 0]],
    ['bytes=100-3000', () => [100, 3000]],
    ['bytes=2000-', () => [2000, whole.length - 1]],
    ['bytes=-700', () => [whole.length - 700, whole.length - 1]],
    ['bytes=1000-999999999999', () => [1000, whole.length - 1]],
    ['bytes=-999999999999', () => [0, whole.length - 1]],
  ])('%s is answered with these bytes', async (range, bounds) => {
    const [start, end] = bounds() as [number, number];
    const { statusCode, headers, rawPayload } = await get({ range });
    expect(statusCode).toBe(206);
    expect(headers).toMatchObject({
      ...{ etag, 'content-range': `bytes ${start}-${end}/${whole.length}` },
      'content-length': String(end - start + 1),
    });
    expect(rawPayload.equals(whole.subarray(start, end + 1))).toBe(true);
  });

  test.each(['bytes=99999999999-', 'bytes=-0'])('%s has no bytes', async (range) => {
    const answer = await get({ range });
    expect([answer.statusCode, answer.json()]).toMatchObject([
      416,
      { code: 'range_not_satisfiable', bytes: whole.length },
    ]);
    expect(answer.headers['content-range']).toBe(`bytes */${whole.length}`);
  });

  test.each(['bytes=0-1,5-6', 'bytes=9-3', 'rows=0-1', 'bytes=-', 'bytes=x-', `bytes=${'9'.repeat(5000)}-`])(
    '%s is answered with all',
    async (range) => {
      const { statusCode, rawPayload, headers } = await get({ range });
      expect([statusCode, rawPayload.length, headers['content-range']]).toEqual([200, whole.length, undefined]);
    },
  );

  test('of what the client has, and of nothing else', async () => {
    const range = 'bytes=10-19';
    expect((await get({ range, 'if-range': etag })).statusCode).toBe(206);
    for (const other of ['"sha256:other"', `W/${etag}`, 'Fri, 27 Nov 2026 00:00:00 GMT']) {
      expect((await get({ range, 'if-range': other })).statusCode, other).toBe(200);
    }
    expect((await get({ range, 'if-none-match': etag })).statusCode).toBe(304);
  });

  test('is ignored by HEAD', async () => {
    const { statusCode, headers } = await get({ range: 'bytes=0-9' }, 'HEAD');
    expect([statusCode, headers['content-length']]).toEqual([200, String(whole.length)]);
  });

  test('lets a download that broke off go on, over a connection', async () => {
    const address = await world.app.app.listen({ host: '127.0.0.1', port: 0 });
    const part = (range: string) =>
      new Promise<Buffer>((resolve, reject) => {
        const headers = { ...bearer(world.acme.key), range, 'if-range': etag };
        http
          .get(`${address}${url}`, { headers }, (answer) => void buffer(answer).then(resolve, reject))
          .on('error', reject);
      });
    const [first, rest] = [await part('bytes=0-4095'), await part('bytes=4096-')];
    expect(Buffer.concat([first, rest]).equals(whole)).toBe(true);
  });
});

describe('Repr-Digest', () => {
  const expected = () => `sha-256=:${createHash('sha256').update(whole).digest('base64')}:`;

  test('has the SHA-256 of the whole archive if it is wanted, also of a part and of HEAD', async () => {
    const wanted = { 'want-repr-digest': 'sha-512=3, sha-256=10' };
    expect((await get(wanted)).headers['repr-digest']).toBe(expected());
    expect((await get({ ...wanted, range: 'bytes=0-9' })).headers['repr-digest']).toBe(expected());
    expect((await get(wanted, 'HEAD')).headers['repr-digest']).toBe(expected());
  });

  test.each([undefined, 'sha-256=0', 'sha-512=1', 'md5=5'])('is not there for %s', async (wanted) => {
    const { headers } = await get(wanted === undefined ? {} : { 'want-repr-digest': wanted });
    expect(headers['repr-digest']).toBeUndefined();
  });
});

test('the digest of a version is what the command in docs/api.md prints', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-digest-'));
  try {
    await writeFile(path.join(folder, 'a.tar'), whole);
    execFileSync('tar', ['xf', 'a.tar'], { cwd: folder });
    const docs = await readFile('docs/api.md', 'utf8');
    const [, command] = /<!-- digest -->\n\n```sh\n([\s\S]*?)```/.exec(docs) ?? [];
    const printed = execFileSync('bash', ['-c', command!], { cwd: path.join(folder, 'download-1'), encoding: 'utf8' });
    expect(`sha256:${printed.split(' ')[0]}`).toBe(digest);
  } finally {
    await rm(folder, { recursive: true });
  }
});

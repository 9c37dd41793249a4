import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { VersionFiles } from '../../../src/fleet/adapters/files/version-file.schemas.ts';
import { CONFIG, createAdapterWorld, WEIGHTS, type AdapterWorld } from './support.ts';

let world: AdapterWorld;
let digest: string;
let url: string;

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const get = (of = url, headers: Record<string, string> = {}, method: 'GET' | 'HEAD' = 'GET') =>
  world.app.request({ url: of, headers, method, key: world.acme.key });

beforeAll(async () => {
  world = await createAdapterWorld(['control']);
  const source = { base_model_version: 'control', path: world.fixture('control').adapter };
  const adapter = await world.createAdapter('files', { source });
  const version = `/v1/adapters/${adapter.id}/versions/${adapter.latest_version!.id}`;
  ({ digest } = (await world.request({ url: version })).json<{ digest: string }>());
  url = `${version}/files`;
});
afterAll(() => world.app.close());

test('of a store in a folder, each file has a path of the API', async () => {
  const answer = await get();
  expect(answer.json<VersionFiles>()).toMatchObject({
    digest,
    files: [
      { name: 'adapter_config.json', bytes: CONFIG.length, sha256: sha256(CONFIG), media_type: 'application/json' },
      { name: 'adapter_model.safetensors', bytes: WEIGHTS.length, sha256: sha256(WEIGHTS) },
    ],
  });
  for (const file of answer.json<VersionFiles>().files) {
    expect([file.url, file.expires_at]).toEqual([`${url}/${file.name}`, null]);
    const { statusCode, rawPayload, headers } = await get(file.url);
    expect([statusCode, sha256(rawPayload)]).toEqual([200, file.sha256]);
    expect(headers).toMatchObject({
      ...{ etag: `"sha256:${file.sha256}"`, 'content-type': 'application/octet-stream', 'accept-ranges': 'bytes' },
      'content-disposition': `attachment; filename="${file.name}"`,
    });
  }
});

test('no cache may keep the list, nor does a tag of it let anybody poll for it', async () => {
  const { headers } = await get();
  expect([headers['cache-control'], headers.etag]).toEqual(['no-store', undefined]);
});

describe('a single file', () => {
  const file = () => `${url}/adapter_model.safetensors`;
  const etag = `"sha256:${sha256(WEIGHTS)}"`;

  test('goes on where it broke off', async () => {
    const half = WEIGHTS.length >> 1;
    const { statusCode, rawPayload, headers } = await get(file(), { range: `bytes=${half}-`, 'if-range': etag });
    expect([statusCode, rawPayload.equals(WEIGHTS.subarray(half))]).toEqual([206, true]);
    expect(headers['content-range']).toBe(`bytes ${half}-${WEIGHTS.length - 1}/${WEIGHTS.length}`);
    const other = await get(file(), { range: `bytes=${half}-`, 'if-range': '"sha256:other"' });
    expect([other.statusCode, other.rawPayload.length]).toEqual([200, WEIGHTS.length]);
    expect((await get(file(), { 'if-none-match': etag })).statusCode).toBe(304);
    expect((await get(file(), { range: `bytes=${WEIGHTS.length}-` })).json()).toMatchObject({
      ...{ code: 'range_not_satisfiable', bytes: WEIGHTS.length },
    });
    const head = await get(file(), {}, 'HEAD');
    expect([head.rawPayload.length, head.headers['content-length']]).toEqual([0, String(WEIGHTS.length)]);
  });

  test.each(['README.md', '..', '%2e%2e%2fadapter_config.json', '.hidden', 'constructor'])(
    'that is none of the version is not found: %s',
    async (name) => expect((await get(`${url}/${name}`)).statusCode).toBeOneOf([400, 404]),
  );
});

test('a foreign version has no files, and neither has one that was deleted', async () => {
  for (const at of [url, `${url}/adapter_config.json`]) {
    const foreign = await world.app.request({ url: at, key: world.other.key });
    expect([foreign.statusCode, foreign.json<{ code: string }>().code]).toEqual([404, 'not_found']);
  }
  const source = { base_model_version: 'control', path: world.fixture('control').adapter };
  const { id, latest_version: version } = await world.createAdapter('deleted', { source });
  const files = `/v1/adapters/${id}/versions/${version!.id}/files`;
  expect((await get(files)).statusCode).toBe(200);
  await world.request({ method: 'DELETE', url: `/v1/adapters/${id}` });
  for (const at of [files, `${files}/adapter_config.json`]) expect((await get(at)).statusCode).toBe(404);
});

test('a version whose files are gone from the store is said to be missing, although it was listed before', async () => {
  const { app } = world;
  await rm(path.join(app.dataDir, 'artifacts', 'sha256', digest.slice(7, 9), digest.slice(9)), { recursive: true });
  expect((await get()).statusCode).toBeOneOf([500, 503]);
});

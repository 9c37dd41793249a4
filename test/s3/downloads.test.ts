import { createHash } from 'node:crypto';
import { Writable } from 'node:stream';
import pino from 'pino';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { buildApp } from '../../src/api/app.ts';
import { openS3Store } from '../../src/platform/artifacts/opening/open-s3-store.ts';
import { loadConfig } from '../../src/platform/config/config.ts';
import type { VersionFile, VersionFiles } from '../../src/fleet/adapters/files/version-file.schemas.ts';
import { createAdapterWorld, type AdapterWorld } from '../integration/adapters/support.ts';
import { bearer } from '../integration/support/index.ts';
import { startS3Server, type S3Server } from './support/versitygw.ts';

let server: S3Server;
let world: AdapterWorld;
let url: string;
let digest: string;

beforeAll(async () => {
  server = await startS3Server();
  for (const [name, value] of Object.entries(server.env('downloads'))) vi.stubEnv(name, value);
  world = await createAdapterWorld(['control'], server.env('downloads'));
  const source = { base_model_version: 'control', path: world.fixture('control').adapter };
  const adapter = await world.createAdapter('files', { source });
  url = `/v1/adapters/${adapter.id}/versions/${adapter.latest_version!.id}/files`;
  digest = (await world.request({ url })).json<VersionFiles>().digest;
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await world?.app.close();
  await server?.remove();
});

const list = async () => (await world.request({ url })).json<VersionFiles>().files;
const sha256 = (bytes: ArrayBuffer) => createHash('sha256').update(Buffer.from(bytes)).digest('hex');
/** Files of a store at the same place with other settings. */
async function filesWith(env: Record<string, string>) {
  const config = loadConfig({ ...server.env('downloads'), READAPT_DATA_DIR: world.app.dataDir, ...env });
  const { store } = await openS3Store(config.artifacts!, config);
  const [file] = await store.files(digest);
  return file!.presign({ filename: 'a b.json', mediaType: 'text/plain' });
}

test('each file has a presigned URL of the bucket, which gives its bytes and its type without a key', async () => {
  const asked = Date.now();
  const files = await list();
  const answered = Date.now();
  expect(files.map(({ name }) => name)).toEqual(['adapter_config.json', 'adapter_model.safetensors']);
  for (const file of files) {
    expect(file.url.startsWith(`${server.endpoint}/${server.bucket}/downloads/folders/`)).toBe(true);
    expect([...new URL(file.url).searchParams.keys()].join()).not.toContain('checksum');
    const expiresAt = Date.parse(file.expires_at!);
    expect(expiresAt).toBeGreaterThan(asked + 890_000);
    expect(expiresAt).toBeLessThanOrEqual(answered + 900_000);
    const answer = await fetch(file.url);
    expect([answer.status, sha256(await answer.arrayBuffer())]).toEqual([200, file.sha256]);
    expect(answer.headers.get('content-type')).toBe(file.media_type);
    expect(answer.headers.get('content-disposition')).toBe(`attachment; filename="${file.name}"`);
    const part = await fetch(file.url, { headers: { range: 'bytes=2-' } });
    expect([part.status, part.headers.get('content-range')]).toEqual([206, `bytes 2-${file.bytes - 1}/${file.bytes}`]);
  }
});

test('a presigned URL is that of one object, to be read', async () => {
  const [config, weights] = (await list()) as [VersionFile, VersionFile];
  const other = new URL(config.url);
  other.pathname = new URL(weights.url).pathname;
  expect((await fetch(other)).status).toBe(403);
  expect((await fetch(config.url, { method: 'DELETE' })).status).toBe(403);
  expect((await fetch(config.url, { method: 'PUT', body: 'mine' })).status).toBe(403);
  const shown = new URL(config.url);
  shown.searchParams.set('response-content-type', 'text/html');
  expect((await fetch(shown)).status).toBe(403);
});

test('a presigned URL ends after the time that the setting gives it', async () => {
  const presigned = await filesWith({ READAPT_S3_PRESIGN_SECONDS: '10' });
  expect((await fetch(presigned!.url)).status).toBe(200);
  await expect.poll(async () => (await fetch(presigned!.url)).status, { interval: 200 }).toBe(403);
  expect(Date.now()).toBeGreaterThanOrEqual(presigned!.expiresAt.getTime());
});

test('a presigned URL is made for the endpoint by which readers reach the bucket', async () => {
  const presigned = await filesWith({ READAPT_S3_PUBLIC_ENDPOINT: server.endpoint.replace('127.0.0.1', 'localhost') });
  expect(new URL(presigned!.url).hostname).toBe('localhost');
  expect((await fetch(presigned!.url)).status).toBe(200);
});

test('where presigned URLs are off, the API sends the bytes itself', async () => {
  expect(await filesWith({ READAPT_S3_PRESIGN_SECONDS: 'off' })).toBeNull();
  for (const { name, sha256: expected, bytes } of await list()) {
    const whole = await world.request({ url: `${url}/${name}` });
    expect([whole.statusCode, sha256(new Uint8Array(whole.rawPayload).buffer)]).toEqual([200, expected]);
    const part = await world.request({ url: `${url}/${name}`, headers: { range: `bytes=${bytes - 1}-` } });
    expect([part.statusCode, part.rawPayload.equals(whole.rawPayload.subarray(-1))]).toEqual([206, true]);
  }
});

test('a presigned URL is in the answer alone: neither in the log nor in the audit log nor in events', async () => {
  let log = '';
  const sink = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      log += chunk.toString();
      done();
    },
  });
  const { config, deps, db } = world.app;
  const app = await buildApp(config, { ...deps, metrics: new Registry(), logger: pino({ level: 'trace' }, sink) });
  const answer = await app.inject({ url, headers: bearer(world.acme.key) });
  await app.close();
  expect(answer.body).toContain('X-Amz-Signature');
  expect(log).toContain(url);
  expect(log).not.toContain('X-Amz');
  const kept = JSON.stringify([await db.event.findMany(), await db.auditEntry.findMany()], (_key, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  );
  expect(kept).toContain('adapter_version.imported');
  expect(kept).not.toContain('X-Amz');
});

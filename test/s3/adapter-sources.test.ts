import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createS3Client } from '../../src/platform/artifacts/s3/s3-client.ts';
import { CONFIG, createAdapterWorld, WEIGHTS, type AdapterWorld } from '../integration/adapters/support.ts';
import { startS3Server, type S3Server } from './support/versitygw.ts';

let server: S3Server;
let client: S3Client;
let world: AdapterWorld;
let adapterId: string;

beforeAll(async () => {
  server = await startS3Server();
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, READAPT_S3_ENDPOINT = '' } = server.env('');
  vi.stubEnv('AWS_ACCESS_KEY_ID', AWS_ACCESS_KEY_ID);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', AWS_SECRET_ACCESS_KEY);
  client = createS3Client({ s3Endpoint: server.endpoint, s3PathStyle: null });
  world = await createAdapterWorld(['control'], {
    READAPT_S3_ENDPOINT,
    READAPT_ADAPTER_SOURCES: `s3://${server.bucket}/tenants/{tenant}`,
  });
  for (const folder of ['tenants/acme/one', 'tenants/acme-2/one', 'tenants/other/one', 'operator/one']) {
    await put(`${folder}/adapter_config.json`, CONFIG);
    await put(`${folder}/adapter_model.safetensors`, WEIGHTS);
    await put(`${folder}/checkpoint-100/optimizer.pt`, 'a pickle');
  }
  adapterId = (await world.ensureAdapter('imported')).id;
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await world?.app.close();
  client?.destroy();
  await server?.remove();
});

const put = (key: string, body: Buffer | string) =>
  client.send(new PutObjectCommand({ Bucket: server.bucket, Key: key, Body: body }));
const importFrom = (source: unknown, more: object = {}) =>
  world.request({
    method: 'POST',
    url: `/v1/adapters/${adapterId}/versions`,
    payload: { base_model_version: 'control', source },
    ...more,
  });

test('a tenant imports from its own folder of a bucket, and the version says so', async () => {
  const answer = await importFrom(`s3://${server.bucket}/tenants/acme/one/`);
  expect(answer.statusCode, answer.body).toBe(201);
  const version = answer.json<{ id: string; source: object; digest: string }>();
  const folder = { kind: 's3', bucket: server.bucket, prefix: 'tenants/acme/one' };
  expect(version.source).toEqual({ ...folder, repo: null, revision: null, commit: null });
  const created = await world.createAdapter('from-bucket', {
    source: { base_model_version: 'control', source: folder },
  });
  expect(created.latest_version).toMatchObject({ digest: version.digest });
});

test.each([
  ['the folder of another tenant', 'tenants/other/one'],
  ['that of one whose name begins with its own', 'tenants/acme-2/one'],
  ['the folder above all', 'tenants'],
  ['a folder of the operator', 'operator/one'],
  ['the whole bucket', ''],
])('a tenant does not read %s', async (_what, prefix) => {
  await world.expectRefusal(() => importFrom({ kind: 's3', bucket: server.bucket, prefix }), {
    status: 422,
    code: 'source_not_allowed',
  });
});

test('no way leads out of the folder of a tenant', async () => {
  for (const prefix of ['tenants/acme/../other/one', 'tenants/acme/./one', 'tenants//acme/one', '/tenants/acme/one']) {
    expect((await importFrom({ kind: 's3', bucket: server.bucket, prefix })).json()).toMatchObject({ status: 400 });
    expect((await importFrom(`s3://${server.bucket}/${prefix}`)).json()).toMatchObject({ code: 'invalid_source' });
  }
});

test('a folder with too much in it is not listed to its end', async () => {
  const folder = path.join(server.folder, 'tenants/acme/many');
  await mkdir(folder);
  await Promise.all(Array.from({ length: 500 }, (_, at) => writeFile(path.join(folder, `${at}.txt`), 'x')));
  for (let at = 0; at < 501; at++) await put(`tenants/acme/many/checkpoint-${at}/optimizer.pt`, 'x');
  const answer = await importFrom(`s3://${server.bucket}/tenants/acme/many`);
  expect(answer.json()).toMatchObject({ status: 422, code: 'source_refused' });
  expect(answer.body).toContain('more than 1000 files and folders');
});

test('the operator reads what the service may read', async () => {
  const answer = await importFrom(`s3://${server.bucket}/operator/one`, { key: world.app.operatorKey });
  expect(answer.statusCode, answer.body).toBe(201);
});

test('what is wrong with a folder is said without the settings of the service', async () => {
  const folder = `s3://${server.bucket}/tenants/acme`;
  const missing = await importFrom(`${folder}/nothing`);
  expect(missing.json()).toMatchObject({ status: 422, code: 'source_not_found' });
  expect(missing.body).not.toMatch(/READAPT_|AWS_|127\.0\.0\.1/);
  await put('tenants/acme/pickled/adapter_config.json', CONFIG);
  await put('tenants/acme/pickled/adapter_model.bin', 'a pickle');
  expect((await importFrom(`${folder}/pickled`)).json()).toMatchObject({
    code: 'invalid_adapter',
    reason: 'pickle_refused',
  });
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'wrong');
  const other = await createAdapterWorld(['control'], {
    READAPT_S3_ENDPOINT: server.endpoint,
    READAPT_ADAPTER_SOURCES: `s3://${server.bucket}/tenants/{tenant}`,
  });
  try {
    const source = { base_model_version: 'control', source: `${folder}/one` };
    const refused = await other.request({ method: 'POST', url: '/v1/adapters', payload: other.body('x', { source }) });
    expect(refused.json()).toMatchObject({ status: 422, code: 'source_unauthorized' });
    expect(refused.body).not.toMatch(/READAPT_|AWS_|127\.0\.0\.1/);
  } finally {
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', server.env('').AWS_SECRET_ACCESS_KEY);
    await other.app.close();
  }
});

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { compiledModule } from '../../compiled/index.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { bearer, createTestApp, createTestTenant, type TestApp, type TestTenant } from '../support/index.ts';
import { contents } from '../support/store-contents.ts';

let service: TestApp;
let acme: TestTenant;

beforeAll(async () => {
  service = await createTestApp({
    env: {
      READAPT_QUOTA_STORED_BYTES: '1500',
      READAPT_QUOTA_DATASET_ROWS: '10',
      READAPT_QUOTA_ADAPTERS: '2',
    },
  });
  await service.db.baseModel.create({ data: { id: newId('baseModel'), name: 'tiny' } });
});
afterAll(() => service.close());
beforeEach(async () => {
  acme = await createTestTenant(service.db, `acme-${newId('tenant')}`);
});

const SPLITS = ['training', 'search', 'gate'];

/** Rows whose stored form has at least this many bytes. */
function dataset(bytes: number, rows = 3): string {
  const lines = Array.from({ length: rows }, (_, index) => {
    const split = SPLITS[index % SPLITS.length];
    return JSON.stringify({ prompt: 'x'.repeat(Math.ceil(bytes / rows)), completion: 'y', split });
  });
  return lines.join('\n');
}

const upload = (name: string, payload: string | Readable, key = acme.key) =>
  service.request({
    method: 'POST',
    url: `/v1/datasets?name=${name}`,
    key,
    headers: { 'content-type': 'application/x-ndjson' },
    payload,
  });

async function quotas(key = acme.key): Promise<Record<string, { limit: number | null; used: number }>> {
  const answer = await service.request({ url: `/v1/tenants/${acme.id}/quotas`, key });
  expect(answer.statusCode).toBe(200);
  const body = answer.json<{ quotas: { name: string; limit: number | null; used: number }[] }>();
  return Object.fromEntries(body.quotas.map((quota) => [quota.name, quota]));
}

const setQuotas = (payload: object, key?: string) =>
  service.request({ method: 'PUT', url: `/v1/tenants/${acme.id}/quotas`, payload, ...(key && { key }) });

describe.each([
  ['with a length', (text: string) => text],
  ['without a length', (text: string) => Readable.from([Buffer.from(text)])],
])('uploads %s', (_what, body) => {
  test('at the same time do not exceed the bytes together', async () => {
    const answers = await Promise.all([1, 2, 3, 4].map((index) => upload(`data-${index}`, body(dataset(1000)))));
    const statuses = answers.map(({ statusCode }) => statusCode).sort((a, b) => a - b);
    expect(statuses).toEqual([201, 403, 403, 403]);
    const { stored_bytes: found } = await quotas();
    const stored = answers.find(({ statusCode }) => statusCode === 201)!.json<{ bytes: number }>().bytes;
    expect(found).toMatchObject({ limit: 1500, used: stored });
    for (const answer of answers.filter(({ statusCode }) => statusCode === 403)) {
      expect(answer.json()).toMatchObject({
        code: 'quota_exceeded',
        quota: 'stored_bytes',
        limit: 1500,
        setting: 'READAPT_QUOTA_STORED_BYTES',
        resets_at: null,
      });
    }
  });

  test('that exceed the bytes alone leave nothing', async () => {
    const before = await contents(service.db, service.dataDir);
    const refused = await upload('large', body(dataset(3000)));
    expect(refused.json()).toMatchObject({ status: 403, quota: 'stored_bytes', used: 0 });
    expect(await contents(service.db, service.dataDir)).toEqual(before);
    expect((await quotas()).stored_bytes?.used).toBe(0);
    expect(await service.db.uploadReservation.count()).toBe(0);
  });
});

test('uploads at the same time do not exceed the rows together', async () => {
  const answers = await Promise.all([1, 2, 3].map((index) => upload(`data-${index}`, dataset(60, 6))));
  expect(answers.map(({ statusCode }) => statusCode).sort((a, b) => a - b)).toEqual([201, 403, 403]);
  const refused = answers.find(({ statusCode }) => statusCode === 403)!;
  expect(refused.json()).toMatchObject({ quota: 'dataset_rows', limit: 10, used: 6 });
  expect((await quotas()).dataset_rows).toMatchObject({ limit: 10, used: 6 });
});

test('a running upload holds its bytes until it fails', async () => {
  const [first = '', ...rest] = dataset(1000).split('\n');
  let goOn: (line: string) => void = () => undefined;
  const waiting = new Promise<string>((resolve) => (goOn = resolve));
  const slow = upload(
    'slow',
    Readable.from(
      (async function* () {
        yield Buffer.from(`${first}\n`);
        yield Buffer.from(await waiting);
      })(),
    ),
  );
  await expect.poll(async () => (await quotas()).stored_bytes?.used).toBe(1500);
  expect((await upload('other', dataset(100))).json()).toMatchObject({ code: 'quota_exceeded', quota: 'stored_bytes' });
  goOn('no JSON');
  expect((await slow).json()).toMatchObject({ code: 'invalid_dataset' });
  expect((await quotas()).stored_bytes?.used).toBe(0);
  expect((await upload('other', [first, ...rest].join('\n'))).statusCode).toBe(201);
});

test('what a dead process has reserved lapses', async () => {
  await service.db.$executeRaw`
    INSERT INTO upload_reservations (id, tenant_id, bytes, expires_at)
    VALUES (${newId('reservation')}, ${acme.id}, 1500, clock_timestamp() + interval '1 minute')`;
  expect((await upload('data', dataset(1000))).statusCode).toBe(403);
  await service.db.$executeRaw`UPDATE upload_reservations SET expires_at = expires_at - interval '1 minute'`;
  expect((await upload('data', dataset(1000))).statusCode).toBe(201);
  expect(await service.db.uploadReservation.count()).toBe(0);
});

test('an upload whose process is killed gives its bytes back', async () => {
  const child = fork(compiledModule('test/integration/adapters/api-process.ts'), [], {
    execArgv: [],
    env: {
      ...process.env,
      DATABASE_URL: service.database.url,
      READAPT_DATA_DIR: service.dataDir,
      READAPT_PORT: '0',
      READAPT_LOG_LEVEL: 'silent',
      READAPT_QUOTA_STORED_BYTES: '1500',
    },
  });
  try {
    const [{ url }] = (await once(child, 'message')) as [{ url: string }];
    const sending = request(`${url}/v1/datasets?name=killed`, {
      method: 'POST',
      headers: { ...bearer(acme.key), 'content-type': 'application/x-ndjson', 'content-length': 1200 },
    });
    sending.on('error', () => undefined);
    sending.write('{"prompt": "');
    await expect.poll(async () => (await quotas()).stored_bytes?.used).toBe(1200);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect((await upload('data', dataset(1000))).json()).toMatchObject({ quota: 'stored_bytes', used: 1200 });
    // Expires the reservations, as a minute would.
    await service.db.$executeRaw`UPDATE upload_reservations SET expires_at = expires_at - interval '1 minute'`;
    expect((await quotas()).stored_bytes?.used).toBe(0);
    expect((await upload('data', dataset(1000))).statusCode).toBe(201);
  } finally {
    child.kill('SIGKILL');
  }
});

test('adapters that are created at the same time do not exceed their number', async () => {
  const { id } = (await upload('data', dataset(60))).json<{ id: string }>();
  const create = (name: string) =>
    service.request({
      method: 'POST',
      url: '/v1/adapters',
      key: acme.key,
      payload: {
        name,
        base_model: 'tiny',
        dataset_id: id,
        metric: 'accuracy',
        gate: { kind: 'relative', margin: 0.01 },
      },
    });
  const answers = await Promise.all(['a', 'b', 'c', 'd'].map(create));
  expect(answers.map(({ statusCode }) => statusCode).sort((a, b) => a - b)).toEqual([201, 201, 403, 403]);
  const refused = answers.find(({ statusCode }) => statusCode === 403)!;
  expect(refused.json()).toMatchObject({ quota: 'adapters', limit: 2, used: 2, setting: 'READAPT_QUOTA_ADAPTERS' });
  expect((await setQuotas({ adapters: 3 })).statusCode).toBe(200);
  expect((await create('e')).statusCode).toBe(201);
  expect((await create('f')).json()).toMatchObject({ quota: 'adapters', limit: 3, used: 3, setting: null });
});

describe('limits of a tenant', () => {
  test('are set by the operator, read by the tenant, and seen by nobody else', async () => {
    const other = await createTestTenant(service.db, `other-${newId('tenant')}`);
    expect((await setQuotas({ adapters: 5 }, acme.key)).statusCode).toBe(403);
    const set = await setQuotas({ adapters: 5, dataset_rows: null, requests_per_minute: 7, weight: 2.5 });
    expect(set.statusCode).toBe(200);
    const seen = await service.request({ url: `/v1/tenants/${acme.id}/quotas`, key: acme.key });
    expect(seen.json()).toEqual(set.json());
    expect(seen.headers['ratelimit-limit']).toBe('7');
    expect(set.json()).toMatchObject({
      tenant_id: acme.id,
      quotas: expect.arrayContaining([
        { name: 'adapters', limit: 5, used: 0, is_default: false, resets_at: null },
        { name: 'dataset_rows', limit: null, used: 0, is_default: false, resets_at: null },
        { name: 'stored_bytes', limit: 1500, used: 0, is_default: true, resets_at: null },
      ]),
      requests_per_minute: { limit: 7, is_default: false },
      weight: { value: 2.5, is_default: false },
    });
    for (const key of [other.key, service.operatorKey]) {
      const id = key === other.key ? acme.id : newId('tenant');
      expect((await service.request({ url: `/v1/tenants/${id}/quotas`, key })).statusCode).toBe(404);
    }
    const absent = { method: 'PUT', url: `/v1/tenants/${newId('tenant')}/quotas`, payload: {} } as const;
    expect((await service.request(absent)).statusCode).toBe(404);
    expect((await setQuotas({ adapters: -1 })).statusCode).toBe(400);
    expect((await setQuotas({})).json()).toMatchObject({
      requests_per_minute: { is_default: true },
      weight: { value: 1, is_default: true },
    });
  });

  test('do not touch what was there before', async () => {
    const { id } = (await upload('data', dataset(600))).json<{ id: string }>();
    expect((await setQuotas({ stored_bytes: 0 })).statusCode).toBe(200);
    expect((await service.request({ url: `/v1/datasets/${id}`, key: acme.key })).statusCode).toBe(200);
    const refused = await upload('more', dataset(10));
    expect(refused.json()).toMatchObject({ status: 403, quota: 'stored_bytes', limit: 0, setting: null });
    expect(refused.json<{ used: number }>().used).toBeGreaterThan(600);
  });
});

test('usage follows what is deleted, and a tenant goes with all that it has', async () => {
  const { id } = (await upload('data', dataset(600))).json<{ id: string }>();
  expect((await quotas()).stored_bytes?.used).toBeGreaterThan(600);
  await service.db.dataset.delete({ where: { id } });
  expect(await quotas()).toMatchObject({ stored_bytes: { used: 0 }, dataset_rows: { used: 0 } });
  await upload('again', dataset(600));
  await service.db.tenant.delete({ where: { id: acme.id } });
  expect(await service.db.tenantUsage.count({ where: { tenantId: acme.id } })).toBe(0);
});

test('a bulk insert counts as many rows as it has', async () => {
  const other = await createTestTenant(service.db, `other-${newId('tenant')}`);
  const row = (tenantId: string, index: number) => ({
    id: newId('dataset'),
    tenantId,
    name: `data-${index}`,
    artifactDigest: 'sha256:0',
    rows: 2,
    bytes: 10n,
    splits: {},
  });
  const rows = Array.from({ length: 50 }, (_, index) => row(index % 5 === 0 ? other.id : acme.id, index));
  await service.db.dataset.createMany({ data: rows });
  const found = await service.db.tenantUsage.findMany({
    where: { tenantId: { in: [acme.id, other.id] } },
    orderBy: { datasetRows: 'asc' },
  });
  expect(found).toEqual([
    { tenantId: other.id, adapters: 0n, datasetRows: 20n, storedBytes: 100n },
    { tenantId: acme.id, adapters: 0n, datasetRows: 80n, storedBytes: 400n },
  ]);
});

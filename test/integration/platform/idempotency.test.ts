import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { bearer, createTestApp, createTestTenant, type TestApp, type TestTenant } from '../support/index.ts';

let service: TestApp;
let tenant: TestTenant;
let number = 0;
let key: string;

beforeAll(async () => {
  service = await createTestApp();
  tenant = await createTestTenant(service.db, 'alpha');
});
afterAll(() => service.close());
beforeEach(() => {
  number += 1;
  key = `key-${number}`;
});

const createTenant = (name: string, idempotencyKey = key) =>
  service.request({
    method: 'POST',
    url: '/v1/tenants',
    payload: { name },
    headers: { 'idempotency-key': idempotencyKey },
  });

test('the same request again gets the same answer and changes nothing', async () => {
  const first = await createTenant('replayed');
  const second = await createTenant('replayed');
  expect(first.statusCode).toBe(201);
  expect(first.headers['idempotency-replayed']).toBeUndefined();
  expect(second.statusCode).toBe(201);
  expect(second.headers['idempotency-replayed']).toBe('true');
  expect(second.headers.location).toBe(first.headers.location);
  expect(second.headers['content-type']).toBe(first.headers['content-type']);
  expect(second.body).toBe(first.body);
  expect(await service.db.event.count({ where: { subjectId: first.json().id } })).toBe(1);
});

test('the key with another body, or for another route, answers 422', async () => {
  await createTenant('one-body');
  const otherBody = await createTenant('another-body');
  expect(otherBody.statusCode).toBe(422);
  expect(otherBody.json().code).toBe('idempotency_key_reused');
  const otherRoute = await service.request({
    method: 'POST',
    url: '/v1/base-models',
    payload: { name: 'one-body' },
    headers: { 'idempotency-key': key },
  });
  expect(otherRoute.json().code).toBe('idempotency_key_reused');
  expect(await service.db.tenant.count({ where: { name: 'another-body' } })).toBe(0);
});

test('duplicates that arrive together make one row', async () => {
  const make = () =>
    service.request({
      method: 'POST',
      url: '/v1/api-keys',
      key: tenant.key,
      payload: { name: 'together', scopes: ['tenant:read'] },
      headers: { 'idempotency-key': key },
    });
  const answers = await Promise.all(Array.from({ length: 8 }, make));
  expect(await service.db.apiKey.count({ where: { name: 'together' } })).toBe(1);
  const fresh = answers.filter((answer) => answer.statusCode === 201 && !answer.headers['idempotency-replayed']);
  expect(fresh).toHaveLength(1);
  for (const answer of answers) {
    if (answer.statusCode === 201) expect(answer.json().id).toBe(fresh[0]?.json().id);
    else expect([answer.statusCode, answer.json().code]).toEqual([409, 'idempotency_in_progress']);
  }
});

test('the key belongs to who uses it', async () => {
  await createTenant('of-operator');
  const answer = await service.request({
    method: 'POST',
    url: '/v1/api-keys',
    key: tenant.key,
    payload: { name: 'mine', scopes: ['tenant:read'] },
    headers: { 'idempotency-key': key },
  });
  expect(answer.statusCode).toBe(201);
  expect(answer.headers['idempotency-replayed']).toBeUndefined();
});

test('a request that failed sets its key free', async () => {
  await createTenant('taken', 'other-key');
  expect((await createTenant('taken')).statusCode).toBe(409);
  const corrected = await createTenant('free');
  expect(corrected.statusCode).toBe(201);
  expect(corrected.headers['idempotency-replayed']).toBeUndefined();
});

test('the secret of a new key is not kept for the replay', async () => {
  const make = () =>
    service.request({
      method: 'POST',
      url: '/v1/api-keys',
      payload: { name: 'secret', scopes: ['operator'] },
      headers: { 'idempotency-key': key },
    });
  const first = (await make()).json();
  const second = (await make()).json();
  expect(first.key).toMatch(/^rdp_/);
  expect(second).toEqual({ ...first, key: null });
  const stored = await service.db.idempotencyRecord.findMany();
  const text = JSON.stringify(stored, (_name, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
  expect(text).not.toContain(first.key);
});

describe('the answer is stored in the transaction of the change', () => {
  /** Rows written by the same transaction. In PostgreSQL `xmin` identifies the transaction that wrote a row. */
  const writtenTogether = async (table: string, id: string) => {
    const [row] = await service.db.$queryRawUnsafe<{ together: boolean }[]>(
      `SELECT r.xmin = t.xmin AS together FROM ${table} t, idempotency_records r WHERE t.id = $1 AND r.key = $2`,
      id,
      key,
    );
    return row?.together;
  };
  const rows = ['training', 'search', 'gate'].map((split) => JSON.stringify({ prompt: split, completion: 'x', split }));

  test.each([
    ['/v1/tenants', 'tenants', { payload: { name: 'together' } }],
    ['/v1/base-models', 'base_models', { payload: { name: 'together' } }],
    ['/v1/api-keys', 'api_keys', { payload: { name: 'together', scopes: ['operator'] } }],
    [
      '/v1/datasets?name=together',
      'datasets',
      { payload: rows.join('\n'), headers: { 'content-type': 'application/x-ndjson' } },
    ],
  ])('POST %s', async (url, table, { payload, headers = {} }: { payload: object | string; headers?: object }) => {
    const send = () =>
      service.request({
        method: 'POST',
        url,
        payload,
        headers: { ...headers, 'idempotency-key': key },
        ...(table === 'datasets' ? { key: tenant.key } : {}),
      });
    const first = await send();
    expect(first.statusCode, first.body).toBe(201);
    expect(await writtenTogether(table, first.json().id)).toBe(true);
    const second = await send();
    expect(second.headers['idempotency-replayed']).toBe('true');
    expect(second.headers['content-type']).toBe(first.headers['content-type']);
    expect(second.headers.location).toBe(first.headers.location);
    expect({ ...second.json(), key: null }).toEqual({ ...first.json(), key: null });
  });

  test('and not made by a request that was taken for dead', async () => {
    const body = new Readable({ read: () => undefined });
    const upload = service.request({
      method: 'POST',
      url: '/v1/datasets?name=zombie',
      key: tenant.key,
      headers: { 'content-type': 'application/x-ndjson', 'idempotency-key': key },
      payload: body,
    });
    const takenOver = () => service.db.idempotencyRecord.updateMany({ where: { key }, data: { claimId: 'another' } });
    await expect.poll(async () => (await takenOver()).count).toBe(1);
    body.push(rows.join('\n'));
    body.push(null);
    const answer = await upload;
    expect([answer.statusCode, answer.json().code]).toEqual([409, 'idempotency_in_progress']);
    expect(await service.db.dataset.count({ where: { name: 'zombie' } })).toBe(0);
    expect(await service.db.idempotencyRecord.count({ where: { key, claimId: 'another' } })).toBe(1);
  });
});

describe('a claim whose process died', () => {
  const claimed = (age: number) =>
    service.db.idempotencyRecord.create({
      data: { principal: 'operator', key, requestHash: 'unknown', createdAt: new Date(Date.now() - age) },
    });

  test('holds the key while it may still run', async () => {
    await claimed(5_000);
    expect((await createTenant(`held-${number}`)).statusCode).toBe(422);
  });

  test('lapses, and the request runs', async () => {
    await claimed(120_000);
    const answer = await createTenant(`lapsed-${number}`);
    expect(answer.statusCode).toBe(201);
    expect((await createTenant(`lapsed-${number}`)).headers['idempotency-replayed']).toBe('true');
  });
});

test.each([' ', 'a b', 'ü', 'x'.repeat(256)])('the key %j is refused', async (bad) => {
  const answer = await createTenant('never', bad);
  expect(answer.statusCode).toBe(400);
  expect(answer.json().code).toBe('invalid_idempotency_key');
});

test('an answer is kept for a day', async () => {
  await createTenant('kept');
  await service.db.idempotencyRecord.updateMany({
    where: { key },
    data: { createdAt: new Date(Date.now() - 25 * 3_600_000) },
  });
  const again = await createTenant('kept');
  expect([again.statusCode, again.json().code]).toEqual([409, 'tenant_exists']);
});

describe('an upload', () => {
  const rows = (label: string) =>
    Array.from({ length: 40 }, (_, index) => JSON.stringify({ prompt: `text ${index}`, completion: label }) + '\n');
  const upload = (name: string, lines: string[]) =>
    service.request({
      method: 'POST',
      url: `/v1/datasets?name=${name}`,
      key: tenant.key,
      headers: { 'content-type': 'application/x-ndjson', 'idempotency-key': key },
      payload: Readable.from(lines.map((line) => Buffer.from(line))),
    });

  test('is replayed for the same bytes, and refused for others', async () => {
    const first = await upload('streamed', rows('yes'));
    expect(first.statusCode).toBe(201);
    const second = await upload('streamed', rows('yes'));
    expect(second.headers['idempotency-replayed']).toBe('true');
    expect(second.json().id).toBe(first.json().id);
    const other = await upload('streamed', rows('not'));
    expect([other.statusCode, other.json().code]).toEqual([422, 'idempotency_key_reused']);
    expect(await service.db.dataset.count({ where: { name: 'streamed' } })).toBe(1);
  });

  /** Sends an endless body after some rows and counts how much of it is read. */
  const uploadEndless = async (name: string, lines: string[], headers: object = {}) => {
    let bytes = 0;
    async function* body() {
      yield Buffer.from(lines.join(''));
      for (; bytes < 64 << 20; bytes += 1 << 16) yield Buffer.alloc(1 << 16, '\n');
    }
    const answer = await service.request({
      method: 'POST',
      url: `/v1/datasets?name=${name}`,
      key: tenant.key,
      headers: { 'content-type': 'application/x-ndjson', 'idempotency-key': key, ...headers },
      payload: Readable.from(body(), { highWaterMark: 1 }),
    });
    return { answer, bytes };
  };

  test('is read again no further than the first was long', async () => {
    const lines = rows('yes');
    expect((await upload('bounded', lines)).statusCode).toBe(201);
    const { answer, bytes } = await uploadEndless('bounded', lines);
    expect([answer.statusCode, answer.json().code]).toEqual([422, 'idempotency_key_reused']);
    expect(bytes).toBeLessThan(1 << 20);
    const declared = await uploadEndless('bounded', lines, { 'content-length': String(64 << 20) });
    expect([declared.answer.statusCode, declared.answer.json().code]).toEqual([422, 'idempotency_key_reused']);
    expect((await upload('bounded', lines)).headers['idempotency-replayed']).toBe('true');
  });

  test('is replayed if an earlier version stored its answer without its size', async () => {
    const first = await upload('unsized', rows('yes'));
    await service.db.idempotencyRecord.updateMany({ where: { key }, data: { bodyBytes: null } });
    const second = await upload('unsized', rows('yes'));
    expect(second.headers['idempotency-replayed']).toBe('true');
    expect(second.json()).toEqual(first.json());
  });

  test('is not read while the first one is still running', async () => {
    const body = new Readable({ read: () => undefined });
    const running = service.request({
      method: 'POST',
      url: '/v1/datasets?name=running',
      key: tenant.key,
      headers: { 'content-type': 'application/x-ndjson', 'idempotency-key': key },
      payload: body,
    });
    await expect.poll(() => service.db.idempotencyRecord.count({ where: { key } })).toBe(1);
    const { answer, bytes } = await uploadEndless('running', rows('yes'));
    expect([answer.statusCode, answer.json().code]).toEqual([409, 'idempotency_in_progress']);
    expect(bytes).toBeLessThan(1 << 20);
    body.push(rows('yes').join(''));
    body.push(null);
    expect((await running).statusCode).toBe(201);
  });

  test('that breaks off sets its key free', async () => {
    await service.app.listen({ port: 0, host: '127.0.0.1' });
    const { port } = service.app.server.address() as AddressInfo;
    const headers = {
      ...bearer(tenant.key),
      'content-type': 'application/x-ndjson',
      'idempotency-key': key,
      'content-length': '100000',
    };
    const broken = http.request({ port, method: 'POST', path: '/v1/datasets?name=broken', headers });
    broken.on('error', () => undefined);
    broken.write(rows('yes').join(''));
    const claims = () => service.db.idempotencyRecord.count({ where: { key } });
    await expect.poll(claims).toBe(1);
    broken.destroy();
    await expect.poll(claims).toBe(0);
    const whole = await upload('broken', rows('yes'));
    expect([whole.statusCode, whole.headers['idempotency-replayed']]).toEqual([201, undefined]);
  });
});

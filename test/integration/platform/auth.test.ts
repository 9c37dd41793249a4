import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newId } from '../../../src/platform/contract/ids.ts';
import { createTestApp, createTestKey, createTestTenant, type TestApp, type TestTenant } from '../support/index.ts';

let service: TestApp;
let alpha: TestTenant;
let beta: TestTenant;

beforeAll(async () => {
  service = await createTestApp();
  alpha = await createTestTenant(service.db, 'alpha');
  beta = await createTestTenant(service.db, 'beta');
});
afterAll(() => service.close());

describe('a request without a usable key', () => {
  const past = new Date(Date.now() - 1000);
  const cases: { name: string; key: () => Promise<string | null>; authorization?: string }[] = [
    { name: 'no key', key: async () => null },
    { name: 'another scheme', key: async () => null, authorization: 'Basic cmRwOng=' },
    { name: 'text that is no key', key: async () => 'hello' },
    { name: 'an unknown key', key: async () => `rdp_${'0'.repeat(12)}_${'A'.repeat(43)}` },
    { name: 'a known prefix with another secret', key: async () => `${alpha.key.slice(0, -43)}${'A'.repeat(43)}` },
    { name: 'a revoked key', key: () => createTestKey(service.db, { revokedAt: past }) },
    { name: 'an expired key', key: () => createTestKey(service.db, { expiresAt: past }) },
  ];
  test.each(cases)('$name answers 401', async ({ key, authorization }) => {
    const headers = authorization === undefined ? {} : { authorization };
    const answer = await service.request({ url: '/v1/tenants', key: await key(), headers });
    expect(answer.statusCode).toBe(401);
    expect(answer.headers['www-authenticate']).toBe('Bearer');
    expect(answer.headers['content-type']).toContain('application/problem+json');
    expect(answer.json()).toMatchObject({ status: 401, code: 'unauthorized', instance: '/v1/tenants' });
  });
});

test('a key works until it expires', async () => {
  const key = await createTestKey(service.db, { expiresAt: new Date(Date.now() + 60_000) });
  expect((await service.request({ url: '/v1/tenants', key })).statusCode).toBe(200);
});

test('the secret is not in the database', async () => {
  const rows = await service.db.apiKey.findMany();
  const secret = service.operatorKey.slice(-43);
  expect(JSON.stringify(rows)).not.toContain(secret);
});

test('the use of a key is noted', async () => {
  const key = await createTestKey(service.db);
  await service.request({ url: '/v1/tenants', key });
  const prefix = key.split('_')[1];
  await expect
    .poll(async () => (await service.db.apiKey.findUnique({ where: { prefix } }))?.lastUsedAt)
    .toBeInstanceOf(Date);
});

describe('a tenant', () => {
  const operatorOnly = [
    { method: 'POST', url: '/v1/tenants', payload: { name: 'gamma' } },
    { method: 'GET', url: '/v1/tenants' },
    { method: 'POST', url: '/v1/base-models', payload: { name: 'base' } },
  ] as const;
  test.each(operatorOnly)('may not $method $url', async (request) => {
    const answer = await service.request({ ...request, key: alpha.key });
    expect(answer.statusCode).toBe(403);
    expect(answer.json().code).toBe('forbidden');
  });

  test('sees itself, and another tenant as something that does not exist', async () => {
    const own = await service.request({ url: `/v1/tenants/${alpha.id}`, key: alpha.key });
    expect(own.json()).toMatchObject({ id: alpha.id, name: 'alpha' });
    const other = await service.request({ url: `/v1/tenants/${beta.id}`, key: alpha.key });
    const absent = await service.request({ url: `/v1/tenants/${newId('tenant')}`, key: alpha.key });
    expect([other.statusCode, absent.statusCode]).toEqual([404, 404]);
    expect(other.json().code).toBe(absent.json().code);
  });

  test('with scope read or write may not manage keys', async () => {
    for (const scope of ['tenant:read', 'tenant:write'] as const) {
      const key = await createTestKey(service.db, { tenantId: alpha.id, scopes: [scope] });
      expect((await service.request({ url: '/v1/api-keys', key })).statusCode).toBe(403);
      expect((await service.request({ url: `/v1/tenants/${alpha.id}`, key })).statusCode).toBe(200);
    }
  });

  test('with scope admin makes, lists and revokes keys of its own', async () => {
    const created = await service.request({
      method: 'POST',
      url: '/v1/api-keys',
      key: alpha.key,
      payload: { name: 'ci', scopes: ['tenant:read'] },
    });
    expect(created.statusCode).toBe(201);
    const { id, key, tenant_id } = created.json();
    expect(tenant_id).toBe(alpha.id);
    expect((await service.request({ url: `/v1/tenants/${alpha.id}`, key })).statusCode).toBe(200);

    const list = await service.request({ url: '/v1/api-keys', key: alpha.key });
    expect(list.json().data.map((entry: { id: string }) => entry.id)).toContain(id);
    expect(new Set(list.json().data.map((entry: { tenant_id: string }) => entry.tenant_id))).toEqual(
      new Set([alpha.id]),
    );
    expect(list.body).not.toContain(key);

    const byOther = await service.request({ method: 'DELETE', url: `/v1/api-keys/${id}`, key: beta.key });
    expect(byOther.statusCode).toBe(404);
    expect((await service.request({ url: `/v1/tenants/${alpha.id}`, key })).statusCode).toBe(200);

    const revoked = await service.request({ method: 'DELETE', url: `/v1/api-keys/${id}`, key: alpha.key });
    expect(revoked.statusCode).toBe(204);
    expect((await service.request({ url: `/v1/tenants/${alpha.id}`, key })).statusCode).toBe(401);
  });

  test('cannot make keys of the operator or of another tenant', async () => {
    const make = (payload: object) => service.request({ method: 'POST', url: '/v1/api-keys', key: alpha.key, payload });
    expect((await make({ name: 'x', scopes: ['operator'] })).statusCode).toBe(403);
    expect((await make({ name: 'x', scopes: ['tenant:read'], tenant_id: null })).statusCode).toBe(403);
    expect((await make({ name: 'x', scopes: ['tenant:read'], tenant_id: beta.id })).statusCode).toBe(404);
  });
});

test('the operator makes keys for anyone, but not with scopes that do not fit', async () => {
  const make = (payload: object) => service.request({ method: 'POST', url: '/v1/api-keys', payload });
  expect((await make({ name: 'x', scopes: ['operator'] })).statusCode).toBe(201);
  expect((await make({ name: 'x', scopes: ['tenant:write'], tenant_id: alpha.id })).statusCode).toBe(201);
  expect((await make({ name: 'x', scopes: ['operator'], tenant_id: alpha.id })).json().code).toBe('invalid_scopes');
  expect((await make({ name: 'x', scopes: ['tenant:read'] })).json().code).toBe('invalid_scopes');
  expect((await make({ name: 'x', scopes: ['tenant:read'], tenant_id: newId('tenant') })).statusCode).toBe(404);
  const past = { name: 'x', scopes: ['operator'], expires_at: '2020-01-01T00:00:00Z' };
  expect((await make(past)).json().code).toBe('already_expired');
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestApp, createTestKey, createTestTenant, type TestApp, type TestTenant } from '../support/index.ts';

let service: TestApp;
let acme: TestTenant;
beforeAll(async () => {
  service = await createTestApp();
  acme = await createTestTenant(service.db, 'acme');
});
afterAll(() => service.close());

const ask = async (key: string) => (await service.request({ url: '/v1/whoami', key })).json<Record<string, unknown>>();

test('a key of a tenant hears its scopes, its end and its tenant', async () => {
  const expiresAt = new Date(Date.now() + 3_600_000);
  const key = await createTestKey(service.db, { tenantId: acme.id, scopes: ['tenant:write'], expiresAt });
  expect(await ask(key)).toEqual({
    key_id: expect.stringMatching(/^key_/),
    name: 'test',
    is_operator: false,
    read_only: false,
    tenant_id: acme.id,
    tenant_name: 'acme',
    scopes: ['tenant:write'],
    created_at: expect.any(String),
    expires_at: expiresAt.toISOString(),
  });
});

test.each([
  ['tenant:read', true],
  ['serving:read', true],
  ['tenant:admin', false],
])('%s: read only is %s', async (scope, readOnly) => {
  const key = await createTestKey(service.db, { tenantId: acme.id, scopes: [scope] });
  expect(await ask(key)).toMatchObject({ is_operator: false, read_only: readOnly, scopes: [scope] });
});

test.each([
  ['operator', false],
  ['operator:read', true],
])('%s is told that it is the operator', async (scope, readOnly) => {
  const key = await createTestKey(service.db, { scopes: [scope] });
  expect(await ask(key)).toMatchObject({
    ...{ is_operator: true, read_only: readOnly, tenant_id: null, tenant_name: null, scopes: [scope] },
    expires_at: null,
  });
});

test('the answer has nothing of the secret', async () => {
  const { body } = await service.request({ url: '/v1/whoami', key: acme.key });
  expect(body).not.toContain(acme.key.slice(-43));
  expect(body).not.toContain(acme.key.split('_')[1]);
});

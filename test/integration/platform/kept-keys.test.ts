import type { FastifyInstance } from 'fastify';
import { Registry } from 'prom-client';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { buildApp } from '../../../src/api/app.ts';
import { createAuthenticator } from '../../../src/tenants/api-keys/index.ts';
import { bearer, clockAhead, createTestApp, createTestKey, createTestTenant, type TestApp } from '../support/index.ts';

const log = { warn: () => undefined };

let service: TestApp;
/** API of another process, as far as keys are concerned. */
let other: FastifyInstance;

beforeAll(async () => {
  service = await createTestApp();
  other = await buildApp(service.config, { ...service.deps, metrics: new Registry() });
});
afterEach(() => void vi.restoreAllMocks());
afterAll(async () => {
  await other.close();
  await service.close();
});

const statusAt = async (app: FastifyInstance, key: string): Promise<number> =>
  (await app.inject({ url: '/v1/rollouts', headers: bearer(key) })).statusCode;

async function idOf(key: string): Promise<string> {
  const { id } = await service.db.apiKey.findUniqueOrThrow({ where: { prefix: key.split('_')[1]! } });
  return id;
}

test('a key is not looked up again while it is kept', async () => {
  const key = await createTestKey(service.db);
  const id = await idOf(key);
  const keys = createAuthenticator({ db: service.db, keptMs: 600_000 });
  expect(await keys.authenticate(key, log)).toMatchObject({ keyId: id });
  await service.db.apiKey.update({ where: { id }, data: { revokedAt: new Date() } });
  expect(await keys.authenticate(key, log)).toMatchObject({ keyId: id });
  expect(await keys.authenticate(`${key.slice(0, -43)}${'A'.repeat(43)}`, log)).toBeNull();
  keys.forget();
  expect(await keys.authenticate(key, log)).toBeNull();
});

test('a kept key ends when it expires', async () => {
  const key = await createTestKey(service.db, { expiresAt: new Date(Date.now() + 3_600_000) });
  const keys = createAuthenticator({ db: service.db, keptMs: 600_000 });
  expect(await keys.authenticate(key, log)).not.toBeNull();
  clockAhead(3_600_000);
  expect(await keys.authenticate(key, log)).toBeNull();
});

test('what was looked up before a change is not kept', async () => {
  const key = await createTestKey(service.db);
  const id = await idOf(key);
  const keys = createAuthenticator({ db: service.db, keptMs: 600_000 });
  const looking = keys.authenticate(key, log);
  keys.forget();
  await looking;
  await service.db.apiKey.update({ where: { id }, data: { revokedAt: new Date() } });
  expect(await keys.authenticate(key, log)).toBeNull();
});

test('a revoked key ends at once where it was revoked, and soon at other processes', async () => {
  const key = await createTestKey(service.db);
  for (const app of [service.app, other]) expect(await statusAt(app, key)).toBe(200);
  const url = `/v1/api-keys/${await idOf(key)}`;
  expect((await service.request({ method: 'DELETE', url })).statusCode).toBe(204);
  expect(await statusAt(service.app, key)).toBe(401);
  await expect.poll(() => statusAt(other, key)).toBe(401);
});

test('the keys of a deleted tenant end with it', async () => {
  const tenant = await createTestTenant(service.db, 'leaving');
  expect(await statusAt(service.app, tenant.key)).toBe(200);
  const answer = await service.request({ method: 'DELETE', url: `/v1/tenants/${tenant.id}` });
  expect(answer.statusCode).toBeLessThan(300);
  expect(await statusAt(service.app, tenant.key)).toBe(401);
});

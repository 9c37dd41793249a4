import type { FastifyInstance } from 'fastify';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { buildApp } from '../../../src/api/app.ts';
import { createBucketRepository } from '../../../src/api/plugins/rate-limit/bucket.repository.ts';
import { createTokenLeases } from '../../../src/api/plugins/rate-limit/rate-limit.ts';
import {
  bearer,
  createTestApp,
  createTestKey,
  createTestTenant,
  type TestApp,
  type TestTenant,
} from '../support/index.ts';

const PER_MINUTE = 6;

let service: TestApp;
let acme: TestTenant;
let replica: FastifyInstance;

beforeEach(async () => {
  service = await createTestApp({ env: { READAPT_RATE_LIMIT_PER_MINUTE: String(PER_MINUTE) } });
  acme = await createTestTenant(service.db, 'acme');
  replica = await buildApp(service.config, { ...service.deps, metrics: new Registry() });
});
afterEach(async () => {
  await replica.close();
  await service.close();
});

const statusOf = async (app: FastifyInstance, key: string): Promise<number> =>
  (await app.inject({ url: `/v1/tenants/${acme.id}`, headers: bearer(key) })).statusCode;

/** Sends four requests more than a minute's quota. No further one is granted meanwhile, however slow they are. */
async function statusesOf(send: (sent: number) => Promise<number>): Promise<number[]> {
  const statuses = [await send(0)];
  await service.db.$executeRaw`UPDATE rate_buckets SET refilled_at = refilled_at + interval '1 hour'`;
  while (statuses.length < PER_MINUTE + 4) statuses.push(await send(statuses.length));
  return statuses;
}

test('a tenant that makes itself more keys gets no more requests', async () => {
  const keys = [acme.key];
  for (let made = 0; made < 3; made += 1) keys.push(await createTestKey(service.db, { tenantId: acme.id }));
  const statuses = await statusesOf((sent) => statusOf(service.app, keys[sent % keys.length]!));
  expect(statuses).toEqual([...Array<number>(PER_MINUTE).fill(200), 429, 429, 429, 429]);
});

test('the requests at all API processes count together', async () => {
  const statuses = await statusesOf((sent) => statusOf(sent % 2 === 0 ? service.app : replica, acme.key));
  expect(statuses.filter((status) => status === 200)).toHaveLength(PER_MINUTE);
  expect(statuses.slice(PER_MINUTE)).toEqual([429, 429, 429, 429]);
});

test('a burst at both processes gets no more through than one request after the other', async () => {
  const burst = Array.from({ length: 40 }, (_, index) => statusOf(index % 2 === 0 ? service.app : replica, acme.key));
  const statuses = await Promise.all(burst);
  expect(statuses.filter((status) => status === 200)).toHaveLength(PER_MINUTE);
  expect(statuses.filter((status) => status === 429)).toHaveLength(40 - PER_MINUTE);
});

test('one tenant takes nothing away from another, nor from the operator', async () => {
  const other = await createTestTenant(service.db, 'other');
  for (let sent = 0; sent < PER_MINUTE + 1; sent += 1) await statusOf(service.app, acme.key);
  expect(await statusOf(service.app, acme.key)).toBe(429);
  const seen = await service.request({ url: `/v1/tenants/${other.id}`, key: other.key });
  expect(seen.statusCode).toBe(200);
  expect(seen.headers['ratelimit-limit']).toBe(String(PER_MINUTE));
  expect(seen.headers['ratelimit-remaining']).toBe(String(PER_MINUTE - 1));
  expect((await service.request({ url: '/v1/tenants' })).statusCode).toBe(200);
});

test('requests come back with time, as the answer says', async () => {
  const started = performance.now();
  for (let sent = 0; sent < PER_MINUTE; sent += 1) await statusOf(service.app, acme.key);
  const refused = await service.request({ url: `/v1/tenants/${acme.id}`, key: acme.key });
  expect(refused.json()).toMatchObject({ status: 429, code: 'rate_limited' });
  // Part of the time until the next token may have passed meanwhile.
  const passed = (performance.now() - started) / 1000;
  expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(10 - passed);
  expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(10);
  // The other process does not know that the bucket is empty and relies on the database alone.
  await service.db.$executeRaw`UPDATE rate_buckets SET refilled_at = refilled_at - interval '10 seconds'`;
  expect(await statusOf(replica, acme.key)).toBe(200);
  expect(await statusOf(replica, acme.key)).toBe(429);
});

test('the database is asked once for many requests, and hardly while a tenant goes on in vain', async () => {
  const buckets = createBucketRepository(service.db);
  let asked = 0;
  const leases = createTokenLeases((owner) => {
    asked += 1;
    return buckets.take(owner, 1000);
  });
  const owner = { id: acme.id, tenantId: acme.id };
  // Tokens flow in from the first request on.
  const started = performance.now();
  const spent = await Promise.all(Array.from({ length: 1000 }, () => leases.spend(owner)));
  expect(spent.every(({ retryAfterMs }) => retryAfterMs === null)).toBe(true);
  expect(asked).toBe(100);
  let refused = 0;
  for (let sent = 0; sent < 20_000; sent += 1) if ((await leases.spend(owner)).retryAfterMs !== null) refused += 1;
  const batches = (performance.now() - started) / 600;
  expect(refused).toBeGreaterThan(19_000);
  expect(asked).toBeLessThanOrEqual(100 + 3 + Math.ceil(batches) * 2);
});

test('the keys that a tenant may have are bounded; the operator can make room by revoking one', async () => {
  const bounded = await createTestApp({ env: { READAPT_QUOTA_API_KEYS: '3' } });
  try {
    const tenant = await createTestTenant(bounded.db, 'tenant');
    await createTestKey(bounded.db, { tenantId: tenant.id, revokedAt: new Date() });
    await createTestKey(bounded.db, { tenantId: tenant.id, expiresAt: new Date(Date.now() - 1000) });
    const make = () =>
      bounded.request({
        method: 'POST',
        url: '/v1/api-keys',
        key: tenant.key,
        payload: { name: 'more', scopes: ['tenant:read'] },
      });
    const answers = await Promise.all([make(), make(), make(), make()]);
    const made = answers.filter(({ statusCode }) => statusCode === 201);
    expect(made).toHaveLength(2);
    for (const refused of answers.filter((answer) => !made.includes(answer))) {
      expect(refused.json()).toMatchObject({
        status: 403,
        code: 'quota_exceeded',
        quota: 'api_keys',
        limit: 3,
        used: 3,
        setting: 'READAPT_QUOTA_API_KEYS',
      });
    }
    const { id } = made[0]!.json<{ id: string }>();
    expect((await bounded.request({ method: 'DELETE', url: `/v1/api-keys/${id}` })).statusCode).toBe(204);
    expect((await make()).statusCode).toBe(201);
    expect((await make()).statusCode).toBe(403);
  } finally {
    await bounded.close();
  }
});

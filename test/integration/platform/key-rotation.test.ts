import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import {
  clockAhead,
  createTestApp,
  createTestKey,
  createTestTenant,
  type TestApp,
  type TestTenant,
} from '../support/index.ts';

let service: TestApp;
let acme: TestTenant;

beforeAll(async () => {
  service = await createTestApp({ env: { READAPT_QUOTA_API_KEYS: '20' } });
  acme = await createTestTenant(service.db, 'acme');
});
afterEach(() => void vi.restoreAllMocks());
afterAll(() => service.close());

interface Created {
  id: string;
  key: string;
  scopes: string[];
  expires_at: string | null;
  rotated_from_id: string | null;
}

const statusWith = async (key: string): Promise<number> =>
  (await service.request({ url: `/v1/tenants/${acme.id}`, key })).statusCode;

async function create(payload: object = {}): Promise<Created> {
  const body = { name: 'ci', scopes: ['tenant:write'], ...payload };
  const answer = await service.request({ method: 'POST', url: '/v1/api-keys', key: acme.key, payload: body });
  expect(answer.statusCode).toBe(201);
  return answer.json<Created>();
}

const rotate = (id: string, payload: object = {}, key = acme.key, headers: Record<string, string> = {}) =>
  service.request({ method: 'POST', url: `/v1/api-keys/${id}/rotate`, key, payload, headers });

test('both keys can be used during the overlap, and then the new one alone', async () => {
  const old = await create();
  const answer = await rotate(old.id, { overlap_ms: 3_600_000 });
  expect(answer.statusCode).toBe(201);
  const successor = answer.json<Created>();
  expect(successor).toMatchObject({ name: 'ci', scopes: ['tenant:write'], expires_at: null, rotated_from_id: old.id });
  expect([await statusWith(old.key), await statusWith(successor.key)]).toEqual([200, 200]);
  clockAhead(3_600_000);
  expect(await statusWith(old.key)).toBe(401);
  expect(await statusWith(successor.key)).toBe(200);
});

test('without an overlap the old key ends at once, and by default it lives for a day', async () => {
  const old = await create();
  const { key } = (await rotate(old.id, { overlap_ms: 0 })).json<Created>();
  expect([await statusWith(old.key), await statusWith(key)]).toEqual([401, 200]);
  const other = await create();
  await rotate(other.id);
  const { expiresAt } = await service.db.apiKey.findUniqueOrThrow({ where: { id: other.id } });
  expect(Math.abs(expiresAt!.getTime() - Date.now() - 86_400_000)).toBeLessThan(10_000);
});

test('the overlap does not prolong a key, and the new one is made for as long as the old one was', async () => {
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  const old = await create({ expires_at: expiresAt });
  const successor = (await rotate(old.id)).json<Created>();
  const row = await service.db.apiKey.findUniqueOrThrow({ where: { id: old.id } });
  expect(row.expiresAt!.toISOString()).toBe(expiresAt);
  expect(Math.abs(Date.parse(successor.expires_at!) - Date.now() - 3_600_000)).toBeLessThan(10_000);
});

test('of rotations at the same time one succeeds', async () => {
  const old = await create();
  const answers = await Promise.all([1, 2, 3].map(() => rotate(old.id)));
  expect(answers.map(({ statusCode }) => statusCode).sort((a, b) => a - b)).toEqual([201, 409, 409]);
  const { id } = answers.find(({ statusCode }) => statusCode === 201)!.json<Created>();
  for (const refused of answers.filter(({ statusCode }) => statusCode === 409)) {
    expect(refused.json()).toMatchObject({ code: 'already_rotated', successor_id: id });
  }
  expect((await rotate(id)).json()).toMatchObject({ code: 'rotation_in_progress', predecessor_id: old.id });
  await service.request({ method: 'DELETE', url: `/v1/api-keys/${old.id}`, key: acme.key });
  expect((await rotate(id)).statusCode).toBe(201);
  expect((await rotate(old.id)).statusCode).toBe(409);
});

test('who may not see a key cannot rotate it', async () => {
  const old = await create();
  const other = await createTestTenant(service.db, 'other');
  const writer = await createTestKey(service.db, { tenantId: acme.id, scopes: ['tenant:write'] });
  expect((await rotate(old.id, {}, other.key)).statusCode).toBe(404);
  expect((await rotate(old.id, {}, writer)).statusCode).toBe(403);
  const { id } = await service.db.apiKey.findFirstOrThrow({ where: { tenantId: null } });
  expect((await rotate(id)).statusCode).toBe(404);
  expect(await statusWith(old.key)).toBe(200);
});

test('the operator rotates his own key and those of tenants; ended keys are not revived', async () => {
  const own = await createTestKey(service.db);
  const row = await service.db.apiKey.findFirstOrThrow({ where: { prefix: own.split('_')[1]! } });
  const successor = (await rotate(row.id, { overlap_ms: 0 }, service.operatorKey)).json<Created>();
  expect(successor.scopes).toEqual(['operator']);
  expect([await statusWith(own), await statusWith(successor.key)]).toEqual([401, 200]);
  const ended = await create();
  await service.request({ method: 'DELETE', url: `/v1/api-keys/${ended.id}`, key: acme.key });
  expect((await rotate(ended.id, {}, service.operatorKey)).json()).toMatchObject({ status: 409, code: 'key_ended' });
});

test('a replayed answer has no key, and the database never has it', async () => {
  const old = await create();
  const headers = { 'idempotency-key': 'rotate-1' };
  const first = (await rotate(old.id, {}, acme.key, headers)).json<Created>();
  const again = await rotate(old.id, {}, acme.key, headers);
  expect(again.json()).toEqual({ ...first, key: null });
  const secret = first.key.slice(-43);
  const tables = await service.db.$queryRaw<{ text: string }[]>`
    SELECT k::text AS text FROM api_keys k UNION ALL SELECT e::text FROM events e UNION ALL SELECT a::text
      FROM audit_entries a
    UNION ALL SELECT i::text FROM idempotency_records i`;
  expect(tables.length).toBeGreaterThan(4);
  expect(tables.some(({ text }) => text.includes(secret))).toBe(false);
});

test('rotation works at the limit of keys, and is no way around it', async () => {
  const tenant = await createTestTenant(service.db, 'limited');
  const limits = { method: 'PUT', url: `/v1/tenants/${tenant.id}/quotas`, payload: { api_keys: 2 } } as const;
  expect((await service.request(limits)).statusCode).toBe(200);
  const make = () =>
    service.request({
      method: 'POST',
      url: '/v1/api-keys',
      key: tenant.key,
      payload: { name: 'x', scopes: ['tenant:read'] },
    });
  const { id } = (await make()).json<Created>();
  expect((await make()).statusCode).toBe(403);
  const successor = await rotate(id, {}, tenant.key);
  expect(successor.statusCode).toBe(201);
  expect((await make()).statusCode).toBe(403);
  // The old key can still be used, so it counts once its successor is gone.
  const gone = successor.json<Created>().id;
  await service.request({ method: 'DELETE', url: `/v1/api-keys/${gone}`, key: tenant.key });
  expect((await make()).statusCode).toBe(403);
});

import type { FastifyInstance } from 'fastify';
import { Registry } from 'prom-client';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { buildApp } from '../../../src/api/app.ts';
import type { Database } from '../../../src/platform/database/database.ts';
import { createAuthenticator } from '../../../src/tenants/api-keys/index.ts';
import { bearer, createTestApp, createTestKey, createTestTenant, type TestApp } from '../support/index.ts';

let service: TestApp;
let app: FastifyInstance;
let lookups = 0;

beforeAll(async () => {
  service = await createTestApp();
});
afterAll(() => service.close());
beforeEach(async () => {
  app = await buildApp(service.config, { ...service.deps, db: counting(service.db), metrics: new Registry() });
  lookups = 0;
});
afterEach(() => app.close());

/** Database that counts the queries looking keys up. */
function counting(db: Database): Database {
  return db.$extends({
    query: {
      $queryRaw: ({ args, query }) => {
        if (args.text.includes('FROM api_keys')) lookups += 1;
        return query(args);
      },
    },
  }) as unknown as Database;
}

const guess = (index: number) => `rdp_${index.toString(16).padStart(12, '0')}_${'x'.repeat(43)}`;

const ask = (key: string) => app.inject({ url: '/v1/rollouts', headers: bearer(key) });

const UNKNOWN_KEYS =
  '1,000 unknown keys at once are looked up in a few queries, and a key that nobody has sent before is admitted';
test(UNKNOWN_KEYS, async () => {
  const { key } = await createTestTenant(service.db, 'neighbour');
  const began = performance.now();
  const guesses = Array.from({ length: 1_000 }, (_, index) => ask(guess(index)));
  // The honest request comes from the same address.
  const [honest, ...answers] = await Promise.all([ask(key), ...guesses]);
  expect(honest.statusCode).toBe(200);
  const statuses = answers.map(({ statusCode }) => statusCode);
  expect(statuses.filter((status) => status !== 401 && status !== 429)).toEqual([]);
  // The first 300 get 401, unless more arrive at the same moment.
  expect(statuses.filter((status) => status === 401).length).toBeLessThanOrEqual(300);
  expect(answers.find(({ statusCode }) => statusCode === 429)!.headers['retry-after']).toMatch(/^\d+$/);
  expect(lookups).toBeGreaterThan(0);
  expect(lookups).toBeLessThanOrEqual(1 + (performance.now() - began) / 100);
});

test('unknown keys that come one after another are looked up ten times a second at most', async () => {
  const began = performance.now();
  for (let index = 0; index < 30; index += 1) expect((await ask(guess(index))).statusCode).toBe(401);
  expect(lookups).toBeLessThanOrEqual(1 + (performance.now() - began) / 100);
});

const KNOWN_KEY =
  'a key that was seen before does not wait for unknown ones, and is looked up for all who send it at once';
test(KNOWN_KEY, async () => {
  const key = await createTestKey(service.db);
  const keys = createAuthenticator({ db: counting(service.db), pauseMs: 600_000 });
  const log = { warn: () => undefined };
  expect(await keys.authenticate(key, log)).not.toBeNull();
  expect(await keys.authenticate(guess(1), log)).toBeNull();
  void keys.authenticate(guess(2), log);
  keys.forget();
  lookups = 0;
  const principals = await Promise.all(Array.from({ length: 100 }, () => keys.authenticate(key, log)));
  expect(principals).not.toContain(null);
  // Requests that arrive during a query wait for the next one, because something may have changed since it started.
  expect(lookups).toBe(2);
});

test('while the database does not answer, no key is taken for unknown', async () => {
  const broken = service.db.$extends({
    query: { $queryRaw: () => Promise.reject(new Error('no connection')) },
  }) as unknown as Database;
  const keys = createAuthenticator({ db: broken });
  for (const index of [1, 2])
    await expect(keys.authenticate(guess(index), { warn: () => undefined })).rejects.toThrow();
});

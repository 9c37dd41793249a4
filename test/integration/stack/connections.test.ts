import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { requireDatabase } from '../../../src/platform/config/reachable.ts';
import { createDatabase, withTransaction, type Database } from '../../../src/platform/database/database.ts';
import { buildApp } from '../../../src/api/app.ts';
import { eventually } from '../../eventually.ts';
import { createTestApp, type TestApp } from '../support/index.ts';

const ROLE = `limited_${randomBytes(4).toString('hex')}`;

let service: TestApp;
let limitedUrl: string;

beforeAll(async () => {
  service = await createTestApp();
  await service.db.$executeRawUnsafe(`CREATE ROLE ${ROLE} LOGIN BYPASSRLS PASSWORD 'secret' CONNECTION LIMIT 1`);
  await service.db.$executeRawUnsafe(`GRANT ALL ON ALL TABLES IN SCHEMA public TO ${ROLE}`);
  const url = new URL(service.database.url);
  url.username = ROLE;
  url.password = 'secret';
  limitedUrl = url.toString();
});
afterAll(async () => {
  await service.db.$executeRawUnsafe(`DROP OWNED BY ${ROLE}`);
  await service.db.$executeRawUnsafe(`DROP ROLE ${ROLE}`);
  await service.close();
});

// A closed connection counts until its server process is gone.
beforeEach(() =>
  eventually('no connection is left', async () => {
    const left = await service.db.$queryRaw<object[]>`SELECT pid FROM pg_stat_activity WHERE usename = ${ROLE}`;
    return left.length === 0;
  }),
);

/** Keeps one connection busy while `work` runs. A connection closed before counts until its server process is gone. */
async function whileBusy(url: string, work: () => Promise<void>): Promise<void> {
  const client = await eventually('a connection is free', async () => {
    const wanted = new pg.Client({ connectionString: url });
    return wanted.connect().then(
      () => wanted,
      () => null,
    );
  });
  try {
    await work();
  } finally {
    await client.end();
  }
}

async function request(db: Database) {
  const app = await buildApp(service.config, { ...service.deps, db, metrics: new Registry() });
  try {
    return await app.inject({ url: '/v1/tenants', headers: { authorization: `Bearer ${service.operatorKey}` } });
  } finally {
    await app.close();
  }
}

test('a start without a free connection names the settings', async () => {
  await requireDatabase(limitedUrl);
  await whileBusy(limitedUrl, async () => {
    await expect(requireDatabase(limitedUrl)).rejects.toThrow(
      'no connection left (53300): raise its max_connections, ' +
        'or lower READAPT_API_CONNECTIONS and READAPT_WORKER_CONNECTIONS',
    );
  });
});

test('a request for which the server has no connection is answered with 503, which names the settings', async () => {
  const db = createDatabase(limitedUrl, { poolSize: 1 });
  expect((await request(db)).statusCode).toBe(200);
  await db.$disconnect();
  const cutOff = createDatabase(limitedUrl, { poolSize: 1 });
  await whileBusy(limitedUrl, async () => {
    const answer = await request(cutOff);
    expect(answer.statusCode).toBe(503);
    expect(answer.json()).toMatchObject({ code: 'unavailable', retry_after_ms: 1000 });
    expect(answer.json<{ detail: string }>().detail).toMatch(
      /READAPT_API_CONNECTIONS, or PostgreSQL's max_connections/,
    );
  });
  await cutOff.$disconnect();
});

test('a request for which this process has no connection in time is answered in the same way', async () => {
  const db = createDatabase(service.database.url, { poolSize: 1, connectTimeoutMs: 300 });
  // The request waits only that long, and the first connection may take that time.
  await eventually('the connection is there', () => db.$queryRaw`SELECT 1`.catch(() => null));
  await withTransaction(db, async () => {
    const answer = await request(db);
    expect(answer.statusCode).toBe(503);
    expect(answer.json<{ detail: string }>().detail).toMatch(/READAPT_API_CONNECTIONS/);
  });
  await db.$disconnect();
});

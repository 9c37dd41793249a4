import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  createDatabase,
  isDatabaseUnavailable,
  Prisma,
  withTransaction,
  type Database,
} from '../../../src/lib/database.ts';
import { readConfined, readRows } from '../../../src/lib/database-reads.ts';
import { newId } from '../../../src/lib/ids.ts';
import { confineTo } from '../../../src/tenancy/confined-database.repository.ts';
import { createTestDatabase, type TestDatabase } from '../support/index.ts';

let database: TestDatabase;
/** All statements share its one connection. */
let db: Database;
const tenantId = newId('tenant');
beforeAll(async () => {
  database = await createTestDatabase();
  await database.db.tenant.create({ data: { id: tenantId, name: 'acme' } });
});
beforeEach(() => {
  db = createDatabase(database.url, { poolSize: 1 });
  return () => db.$disconnect();
});
afterAll(() => database.close());

const pidOf = async (): Promise<number> =>
  (await readRows<{ pid: number }>(db, Prisma.sql`SELECT pg_backend_pid() AS pid`))[0]!.pid;

/** One value of each type that answers are made of, and none. */
const VALUES = Prisma.sql`
  SELECT TRUE AS yes, 7::int2 AS small, -5 AS int, 9007199254740993::bigint AS big, 
    0.1::float8 AS double, 1.5::float4 AS single,
    'NaN'::float8 AS nan, 'naïve "text"' AS text, 'x'::varchar(4) AS short, 'ready'::job_state AS state,
    '{"a": [1, null]}'::jsonb AS jsonb,
    '"é"'::json AS json, ARRAY['a', 'b "c"', NULL] AS texts, '2026-11-27 15:04:05.678+00'::timestamptz AS time,
    '2026-11-27 15:04:05+00'::timestamptz(3) AS second, NULL::jsonb AS none`;

describe('what is read without Prisma', () => {
  test('has the values that Prisma makes', async () => {
    const rows = await readRows(db, VALUES);
    expect(rows).toEqual(await db.$queryRaw(VALUES));
    expect(rows).toMatchObject([{ big: 9007199254740993n, jsonb: { a: [1, null] }, texts: ['a', 'b "c"', null] }]);
  });

  test('has the right times in sessions of another time zone', async () => {
    const elsewhere = createDatabase(`${database.url}?options=-c%20timezone%3DAsia/Kolkata`);
    const time = Prisma.sql`SELECT '2026-11-27 15:04:05.678+00'::timestamptz AS time`;
    expect(await readRows(elsewhere, time)).toEqual([{ time: new Date('2026-11-27T15:04:05.678Z') }]);
    await elsewhere.$disconnect();
  });

  test('takes the parameters that Prisma takes', async () => {
    const [time, texts] = [new Date('2026-11-27T15:04:05.678Z'), ['a', 'b "c\\', '', 'NULL', '{d,e}']];
    const echo = Prisma.sql`
      SELECT ${'é'}::text AS text, ${1.5}::float8 AS number, ${12n}::bigint AS big, 
        ${true}::bool AS yes, ${null}::text AS none,
        ${time}::timestamptz AS time, ${texts}::text[] AS texts`;
    expect(await readRows(db, echo)).toEqual([
      { text: 'é', number: 1.5, big: 12n, yes: true, none: null, time, texts },
    ]);
    expect(await readRows(db, echo)).toEqual(await db.$queryRaw(echo));
  });

  test('is refused if it is of a type that is not known, and the connection goes on', async () => {
    const pid = await pidOf();
    await expect(readRows(db, Prisma.sql`SELECT 1.5::numeric AS value`)).rejects.toThrow('a column has the type 1700');
    await expect(readRows(db, Prisma.sql`SELECT ${{ a: 1 }}::jsonb AS value`)).rejects.toThrow('of the type object');
    expect(await pidOf()).toBe(pid);
  });

  test('is part of a transaction where there is one', async () => {
    await withTransaction(db, async (tx) => {
      await tx.tenant.create({ data: { id: 'ten-inside', name: 'inside' } });
      expect(await readRows(tx, Prisma.sql`SELECT id FROM tenants WHERE name = 'inside'`)).toEqual([
        { id: 'ten-inside' },
      ]);
      await tx.tenant.delete({ where: { id: 'ten-inside' } });
    });
  });
});

describe('a confined read', () => {
  const seen = Prisma.sql`SELECT current_user::text AS role, current_setting('readapt.tenant_id', true) AS tenant`;

  test('is confined in its own round trip alone', async () => {
    const before = await readRows(db, seen);
    const confined = confineTo(db, tenantId);
    for (let time = 0; time < 8; time++) {
      expect(await readRows(confined, seen)).toEqual([{ role: 'readapt_tenant', tenant: tenantId }]);
      expect(await readRows<{ role: string }>(db, seen)).toMatchObject([
        { role: (before[0] as { role: string }).role },
      ]);
      const [{ tenant }] = (await readRows<{ tenant: string | null }>(db, seen)) as [{ tenant: string | null }];
      expect(tenant ?? '').toBe('');
    }
  });

  test('does not run if it cannot be confined', async () => {
    const [other, pid] = [{} as Database, await pidOf()];
    readConfined(other, db, Prisma.sql`SELECT 1 / 0 AS confined`);
    await expect(
      readRows(other, Prisma.sql`INSERT INTO tenants (id, name) VALUES ('ten-unconfined', 'unconfined') RETURNING id`),
    ).rejects.toThrow('division by zero');
    expect(await database.db.tenant.count({ where: { id: 'ten-unconfined' } })).toBe(0);
    expect(await pidOf()).toBe(pid);
  });

  test('that fails leaves the connection as it was', async () => {
    const [confined, pid] = [confineTo(db, tenantId), await pidOf()];
    for (let time = 0; time < 2; time++) {
      await expect(readRows(confined, Prisma.sql`SELECT 1 / ${0}::int AS value`)).rejects.toThrow('division by zero');
      await expect(readRows(confined, Prisma.sql`SELECT ${1}::int FROM nowhere`)).rejects.toThrow('does not exist');
      await expect(readRows(confined, Prisma.sql`SELECT id FROM outbox`)).rejects.toThrow('permission denied');
      expect(await readRows(confined, seen)).toEqual([{ role: 'readapt_tenant', tenant: tenantId }]);
    }
    expect(await pidOf()).toBe(pid);
  });

  test('is prepared once, with what confines it', async () => {
    const confined = confineTo(db, tenantId);
    for (let time = 0; time < 3; time++) await readRows(confined, Prisma.sql`SELECT ${time}::int AS asked`);
    const prepared = Prisma.sql`
      SELECT statement, (generic_plans + custom_plans)::int AS runs FROM pg_prepared_statements`;
    const rows = await db.$queryRaw<{ statement: string; runs: number }[]>(prepared);
    expect(rows.map(({ statement, runs }) => [statement.trim().slice(0, 17), runs])).toEqual([
      ['SELECT set_config', 3],
      ['SELECT $1::int AS', 3],
    ]);
  });
});

test('a connection that is lost fails the read on it, and the next one gets another', async () => {
  const pid = await pidOf();
  const reading = readRows(db, Prisma.sql`SELECT pg_sleep(20)::text AS slept`).catch((error: unknown) => error);
  const killed = Prisma.sql`
    SELECT pg_terminate_backend(${pid}::int) AS done FROM pg_stat_activity
    WHERE pid = ${pid}::int AND state = 'active'`;
  await expect.poll(() => database.db.$queryRaw(killed)).toEqual([{ done: true }]);
  expect(isDatabaseUnavailable(await reading)).toBe(true);
  expect(await pidOf()).not.toBe(pid);
});

test('a database that cannot be reached is unavailable', async () => {
  const nowhere = createDatabase('postgresql://localhost:1/none');
  expect(isDatabaseUnavailable(await readRows(nowhere, VALUES).catch((error: unknown) => error))).toBe(true);
});

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createDatabase, Prisma, withTransaction, type Database } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { confineTo, unconfined } from '../../../src/platform/database/row-security/confined-database.repository.ts';
import { createTestDatabase, type TestDatabase } from '../support/index.ts';

let database: TestDatabase;
/** Database with a single connection, which all queries share. */
let db: Database;
const tenants: string[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  for (const name of ['acme', 'other']) {
    const id = newId('tenant');
    tenants.push(id);
    await database.db.tenant.create({ data: { id, name } });
  }
});
beforeEach(() => {
  db = createDatabase(database.url, { poolSize: 1 });
  return () => db.$disconnect();
});
afterAll(() => database.close());

const SESSION = Prisma.sql`
  SELECT current_user = session_user AS own, current_setting('readapt.tenant_id', true) AS tenant,
    pg_backend_pid() AS pid, (SELECT count(*)::int FROM tenants) AS seen`;
interface Session {
  own: boolean;
  tenant: string | null;
  pid: number;
  seen: number;
}

/**
 * Checks that the connection's next user finds no traces, and that a confined transaction ends in the state it began
 * in.
 */
async function expectClean(pid: number): Promise<void> {
  const [session] = await db.$queryRaw<Session[]>(SESSION);
  expect(session).toMatchObject({ own: true, pid, seen: 2 });
  expect(session!.tenant ?? '').toBe('');
}

async function pidOf(): Promise<number> {
  return (await db.$queryRaw<Session[]>(SESSION))[0]!.pid;
}

test('a confined query leaves nothing on the connection', async () => {
  const pid = await pidOf();
  const [inside] = await confineTo(db, tenants[0]!).$queryRaw<Session[]>(SESSION);
  expect(inside).toEqual({ own: false, tenant: tenants[0], pid, seen: 1 });
  await expectClean(pid);
});

test('nor does one that fails, a transaction that throws, or one that takes too long', async () => {
  const pid = await pidOf();
  const confined = confineTo(db, tenants[0]!);
  await expect(confined.$queryRaw`SELECT 1 / 0`).rejects.toThrow();
  await expectClean(pid);
  const thrown = withTransaction(confined, async (tx) => {
    await tx.tenant.findMany();
    throw new Error('given up');
  });
  await expect(thrown).rejects.toThrow('given up');
  await expectClean(pid);
  const late = withTransaction(confined, (tx) => tx.$queryRaw`SELECT pg_sleep(0.4)::text`, { timeoutMs: 100 });
  await expect(late).rejects.toThrow();
  await expectClean(pid);
});

test('tenants whose requests take turns on few connections see their own rows', async () => {
  const shared = createDatabase(database.url, { poolSize: 3 });
  try {
    const answers = await Promise.all(
      Array.from({ length: 120 }, async (_, turn) => {
        const tenant = tenants[turn % 3];
        if (tenant === undefined)
          return { seen: (await shared.tenant.findMany()).map(({ id }) => id), expected: tenants };
        return { seen: (await confineTo(shared, tenant).tenant.findMany()).map(({ id }) => id), expected: [tenant] };
      }),
    );
    for (const { seen, expected } of answers) expect(seen.sort()).toEqual([...expected].sort());
  } finally {
    await shared.$disconnect();
  }
});

test('the role without a tenant sees nothing', async () => {
  const seen = await withTransaction(db, async (tx) => {
    await tx.$executeRaw`SELECT set_config('role', 'readapt_tenant', true)`;
    return tx.$queryRaw<Session[]>(SESSION);
  });
  expect(seen).toMatchObject([{ own: false, seen: 0 }]);
});

const ROLE_LIMITS =
  'the role reaches neither the outbox nor the ledger of migrations nor the queue, and changes no shared rows';
test(ROLE_LIMITS, async () => {
  const confined = confineTo(db, tenants[0]!);
  for (const table of ['outbox', '_prisma_migrations', 'bullmq.job']) {
    await expect(confined.$queryRaw`SELECT * FROM ${Prisma.raw(table)}`, table).rejects.toThrow(/permission denied/);
  }
  for (const table of ['rollouts', 'base_models', 'base_model_versions', 'evolutions', 'artifacts']) {
    await expect(confined.$executeRaw`DELETE FROM ${Prisma.raw(table)}`, table).rejects.toThrow(/permission denied/);
  }
});

test('a confined database offers nothing that would not be confined', () => {
  const confined = confineTo(db, tenants[0]!);
  for (const name of ['$queryRawUnsafe', '$executeRawUnsafe', '$extends', '$disconnect', '$on'] as const) {
    expect(() => confined[name], name).toThrow(/has no/);
  }
  expect(unconfined(confined)).toBe(db);
  expect(unconfined(db)).toBe(db);
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabase, type Database } from '../../../src/lib/database.ts';
import { createTestDatabase, type TestDatabase } from '../support/index.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

/** Runs some work on one connection. @returns the statements that are kept prepared there, and how often each ran */
async function preparedBy(url: string, work: (db: Database) => Promise<unknown>): Promise<[string, number][]> {
  const db = createDatabase(url, { poolSize: 1 });
  try {
    await work(db);
    const rows = await db.$queryRaw<{ statement: string; runs: bigint }[]>`
      SELECT statement, generic_plans + custom_plans AS runs FROM pg_prepared_statements WHERE name <> ''`;
    return rows.map(({ statement, runs }) => [statement.replace(/\s+/g, ' '), Number(runs)]);
  } finally {
    await db.$disconnect();
  }
}

const ask = async (db: Database, times: number): Promise<void> => {
  for (let time = 0; time < times; time++) await db.$queryRaw`SELECT ${time}::int AS asked`;
};

test('a statement is prepared once, whatever its values', async () => {
  expect(await preparedBy(database.url, (db) => ask(db, 3))).toEqual([['SELECT $1::int AS asked', 3]]);
});

test('a statement with the values of many rows is not kept', async () => {
  const statements = await preparedBy(database.url, (db) =>
    db.tenant.findMany({ where: { id: { in: Array.from({ length: 40 }, (_, index) => `ten-${index}`) } } }),
  );
  expect(statements).toEqual([]);
});

test('a list is planned for its values each time', async () => {
  const list = (db: Database) => db.tenant.findMany({ where: { name: { gt: 'a' } }, orderBy: { id: 'desc' }, take: 2 });
  expect(await preparedBy(database.url, list)).toEqual([]);
});

test('a connection keeps no more than 300 statements', async () => {
  const statements = await preparedBy(database.url, async (db) => {
    for (let column = 0; column < 310; column++) await db.$queryRawUnsafe(`SELECT $1::int AS c${column}`, column);
  });
  expect(statements).toHaveLength(300);
});

test('behind a pooler that knows no prepared statements, none is kept', async () => {
  const url = `${database.url}${database.url.includes('?') ? '&' : '?'}pgbouncer=true`;
  expect(await preparedBy(url, (db) => ask(db, 3))).toEqual([]);
});

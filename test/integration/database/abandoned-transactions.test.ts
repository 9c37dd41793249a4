import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabase, withTransaction } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { createTestDatabase, type TestDatabase } from '../support/index.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

test('every session ends a transaction that was left alone for half a minute', async () => {
  const db = createDatabase(database.url);
  const timeout = await db.$queryRaw`SELECT setting::int AS ms FROM pg_settings
    WHERE name = 'idle_in_transaction_session_timeout'`;
  expect(timeout).toEqual([{ ms: 30_000 }]);
  await db.$disconnect();
});

test('a process that stands still in a transaction keeps its locks for that long, and others go on', async () => {
  const [stopped, other] = [createDatabase(database.url), createDatabase(database.url)];
  const { id } = await other.tenant.create({ data: { id: newId('tenant'), name: 'locked' } });
  const rename = async (name: string) => other.tenant.update({ where: { id }, data: { name } });
  let wake = (): void => undefined;
  const asleep = new Promise<void>((resolve) => (wake = resolve));
  let locked = (): void => undefined;
  const isLocked = new Promise<void>((resolve) => (locked = resolve));
  const abandoned = withTransaction(
    stopped,
    async (tx) => {
      // Half a minute is shortened here.
      await tx.$executeRaw`SET LOCAL idle_in_transaction_session_timeout = 1500`;
      await tx.tenant.update({ where: { id }, data: { name: 'by the one that is stopped' } });
      locked();
      await asleep;
    },
    { timeoutMs: 300_000 },
  );
  const ended = expect(abandoned).rejects.toThrow();
  try {
    await isLocked;
    const began = performance.now();
    expect(await rename('by the other')).toMatchObject({ name: 'by the other' });
    expect(performance.now() - began).toBeGreaterThan(1000);
  } finally {
    wake();
    await ended;
  }
  expect(await stopped.tenant.findUnique({ where: { id } })).toMatchObject({ name: 'by the other' });
  await Promise.all([stopped.$disconnect(), other.$disconnect()]);
});

import type pg from 'pg';
import type { Prisma, PrismaClient } from './generated/prisma/client.ts';
import { StatementBatch, toParameter, type Row, type Statement } from './database-batch.ts';

type Queryable = PrismaClient | Prisma.TransactionClient;

/** Parts for reading without Prisma: the client's pool, and statements that run before each query. */
interface Reader {
  readonly pool: pg.Pool;
  readonly nameOf: (statement: { sql: string; args: readonly unknown[] }) => string;
  readonly first: readonly Prisma.Sql[];
}

const READERS = new WeakMap<Queryable, Reader>();

/** Registers the pool of a client, which it shares with Prisma, for {@link readRows}. */
export function readFrom(db: Queryable, reader: Omit<Reader, 'first'>): void {
  READERS.set(db, { ...reader, first: [] });
}

/** Use of the connections of a client's pool. */
export interface PoolUse {
  readonly busy: number;
  readonly idle: number;
  /** Number of queries that wait for a connection. */
  readonly waiting: number;
  readonly limit: number;
}

/** Reads the use of a client's pool. @returns null if the pool of the client is not known */
export function poolUseOf(db: Queryable): PoolUse | null {
  const pool = READERS.get(db)?.pool;
  if (pool === undefined) return null;
  const { totalCount, idleCount: idle, waitingCount: waiting, options } = pool;
  return { busy: totalCount - idle, idle, waiting, limit: options.max };
}

/**
 * Lets {@link readRows} read with `confined` from the pool of `db`, after a statement that restricts the visible rows.
 */
export function readConfined(confined: Queryable, db: Queryable, confinement: Prisma.Sql): void {
  const reader = READERS.get(db);
  if (reader !== undefined) READERS.set(confined, { ...reader, first: [...reader.first, confinement] });
}

/**
 * Runs a statement that only reads, in a transaction of its own, in one round trip and without the overhead of Prisma's
 * client. If `db` is a transaction, the statement is part of it.
 * @returns rows with the values that `$queryRaw` would return
 */
export async function readRows<T>(db: Queryable, sql: Prisma.Sql): Promise<T[]> {
  const reader = READERS.get(db);
  if (reader === undefined) return db.$queryRaw<T[]>(sql);
  const statements = [...reader.first, sql].map(({ text, values }): Statement => {
    return { name: reader.nameOf({ sql: text, args: values }), text, values: values.map(toParameter) };
  });
  return (await run(reader.pool, statements)) as T[];
}

async function run(pool: pg.Pool, statements: readonly Statement[]): Promise<Row[]> {
  const client = await pool.connect();
  let broken: Error | undefined;
  const note = (error: Error): void => {
    broken = error;
  };
  client.on('error', note);
  try {
    return await new Promise((resolve, reject) => {
      client.query(new StatementBatch(statements, { resolve, reject }));
    });
  } catch (error) {
    // The server has ended the session, which the connection notices only later.
    if (/^57P/.test(String((error as { code?: unknown }).code))) broken ??= error as Error;
    throw error;
  } finally {
    client.removeListener('error', note);
    client.release(broken);
  }
}

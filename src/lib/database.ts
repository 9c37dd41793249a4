import { PrismaPg } from '@prisma/adapter-pg';
import { Prisma, PrismaClient } from '../generated/prisma/client.ts';

export { Prisma };
export type Database = PrismaClient;
/** The client of a transaction. */
export type Transaction = Prisma.TransactionClient;
export type Queryable = Database | Transaction;

export interface DatabaseOptions {
  /** Number of connections in the pool (default 10). */
  poolSize?: number;
  /** How long a query waits for a connection, in milliseconds (default 10,000). */
  connectTimeoutMs?: number;
}

/** Creates a client with its own pool. It connects at the first query; the caller calls `$disconnect()` at the end. */
export function createDatabase(url: string, options: DatabaseOptions = {}): Database {
  const adapter = new PrismaPg({
    connectionString: url,
    max: options.poolSize ?? 10,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 10_000,
    application_name: 'readapt',
  });
  return new PrismaClient({ adapter });
}

/** Runs `fn` in one transaction, which commits if `fn` resolves and rolls back if it throws. */
export function withTransaction<T>(
  db: Database,
  fn: (tx: Transaction) => Promise<T>,
  options: { timeoutMs?: number } = {},
): Promise<T> {
  return db.$transaction(fn, { timeout: options.timeoutMs ?? 30_000, maxWait: 10_000 });
}

/** Whether the error is a violation of a unique constraint. */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002';
}

/** Whether the error is a violation of a foreign key. */
export function isForeignKeyViolation(error: unknown): boolean {
  return error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2003';
}

const UNREACHABLE_CODES = new Set(['P1001', 'P1002', 'P1008', 'P1017', 'P2024', 'P2028']);
const UNREACHABLE_CAUSES = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EPIPE', 'ETIMEDOUT', '57P01', '57P03']);

/** Whether the database could not be reached or the connection was lost, so that the same call may succeed later. */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (error instanceof Prisma.PrismaClientInitializationError) return true;
  if (error instanceof Prisma.PrismaClientKnownRequestError && UNREACHABLE_CODES.has(error.code)) return true;
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  return UNREACHABLE_CAUSES.has(code) || UNREACHABLE_CODES.has(code);
}

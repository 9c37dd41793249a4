import { createHash } from 'node:crypto';
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { Prisma, PrismaClient } from './generated/prisma/client.ts';
import { readFrom } from './database-reads.ts';

export { Prisma };
export type Database = PrismaClient;
/** The client of a transaction. */
export type Transaction = Prisma.TransactionClient;
export type Queryable = Database | Transaction;

export interface DatabaseOptions {
  /** Number of connections in the pool (default 10). */
  poolSize?: number;
  /** Time that a query waits for a connection, in milliseconds (default 10,000). */
  connectTimeoutMs?: number;
}

/**
 * PostgreSQL ends a transaction that its client leaves alone for this long. A process that was stopped in the middle of
 * one, or whose machine hangs, would keep its locks from all others until it wakes up. Prisma gives up a transaction
 * after as long.
 */
export const ABANDONED_MS = 30_000;

/** Creates a client with its own pool. It connects at the first query; the caller calls `$disconnect()` at the end. */
export function createDatabase(url: string, options: DatabaseOptions = {}): Database {
  // Prisma's own parameter for a pooler that gives each transaction another connection, knows no prepared statements,
  // and takes no settings of sessions.
  const pooled = /[?&]pgbouncer=true\b/.test(url);
  const pool = new pg.Pool({
    connectionString: url,
    max: options.poolSize ?? 10,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 10_000,
    application_name: 'readapt',
    ...(pooled ? {} : { idle_in_transaction_session_timeout: ABANDONED_MS }),
  });
  return createDatabaseOn(pool, pooled ? () => '' : statementNames());
}

/** Creates a client of a pool, which ends when the client disconnects. */
export function createDatabaseOn(pool: pg.Pool, nameOf: ReturnType<typeof statementNames>): Database {
  // A connection that is lost while nobody uses it is replaced.
  pool.on('error', () => undefined);
  const adapter = new PrismaPg(pool, { statementNameGenerator: nameOf, disposeExternalPool: true });
  const db = new PrismaClient({ adapter });
  readFrom(db, { pool, nameOf });
  return db;
}

/** Most statements that a connection keeps prepared, and most parameters of one. Each takes the server some 10 KiB. */
const PREPARED = { statements: 300, parameters: 16 } as const;

/** Pattern of the limit of a list, unless {@link usualLimit} has written it into the text. */
const LIMITED = /\bLIMIT \$\d/;

/**
 * Names the statements that connections keep prepared, so that the server parses and plans each of them once. A
 * statement with many parameters, such as the insertion of many rows, has another text each time; one without any, such
 * as COMMIT, needs no plan. A list's best plan depends on its values, and a kept one would be for any. They have no
 * name.
 */
export function statementNames(): (statement: { sql: string; args: readonly unknown[] }) => string {
  const names = new Map<string, string>();
  return ({ sql, args }) => {
    if (args.length === 0 || args.length > PREPARED.parameters || LIMITED.test(sql)) return '';
    const known = names.get(sql);
    if (known !== undefined || names.size >= PREPARED.statements) return known ?? '';
    // Equal names stand for equal texts, also where processes share connections.
    const name = `readapt_${createHash('sha256').update(sql).digest('base64url')}`;
    names.set(sql, name);
    return name;
  };
}

/**
 * The limit of a list in SQL, for lists of which one plan is right for any values. With the usual limit, which is part
 * of the text, they stay prepared; half of what PostgreSQL takes for a small list is to plan it.
 */
export function usualLimit(limit: number, usual: number): Prisma.Sql {
  return limit === usual ? Prisma.raw(String(usual)) : Prisma.sql`${limit}`;
}

/**
 * Columns of the table `alias` under the names that Prisma gives them, for a query in SQL: `j.rollout_id AS
 * "rolloutId"`. The prefix comes before these names.
 */
export function columnsOf(alias: string, fields: readonly string[], prefix = ''): Prisma.Sql {
  const column = (field: string): string => field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Prisma.raw(fields.map((field) => `${alias}.${column(field)} AS "${prefix}${field}"`).join(', '));
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
/** Codes of the system, and SQLSTATEs of a server that starts, stops or has no connection left. */
const UNREACHABLE_CAUSES = /^(ECONNREFUSED|ECONNRESET|ENOTFOUND|EPIPE|ETIMEDOUT|08...|57P0[123]|53300)$/;
/** Kinds that Prisma's driver gives errors of the connection, which have no code. */
const UNREACHABLE_KINDS = new Set(['ConnectionClosed', 'DatabaseNotReachable', 'SocketTimeout', 'TooManyConnections']);
/** The driver passes these errors on as they are, without a code either. */
const UNREACHABLE_MESSAGES =
  /Client has encountered a connection error|Connection terminated|exceeded when trying to connect/;

/** Messages of PostgreSQL at its limit of connections, and of a pool whose connections are all in use. */
const EXHAUSTED_MESSAGES = new RegExp(
  'too many clients already|remaining connection slots are reserved|too many connections for (role|database)|' +
    'timeout exceeded when trying to connect',
);

/** Whether a connection was wanted and none was left, of the server's or of this process's. */
export function isOutOfConnections(error: unknown): boolean {
  if (driverCause(error)?.kind === 'TooManyConnections' || codesOf(error).includes('53300')) return true;
  return error instanceof Error && (error.message.match(EXHAUSTED_MESSAGES) !== null || isPoolTimeout(error));
}

/** Prisma waits for a connection of its pool before a transaction. */
function isPoolTimeout(error: Error): boolean {
  return codesOf(error).includes('P2028') && error.message.includes('Unable to start a transaction in the given time');
}

/** Whether the database could not be reached or the connection was lost, so that the same call may succeed later. */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (error instanceof Prisma.PrismaClientInitializationError) return true;
  if (error instanceof Error && UNREACHABLE_MESSAGES.test(error.message)) return true;
  if (UNREACHABLE_KINDS.has(driverCause(error)?.kind ?? '')) return true;
  return codesOf(error).some((code) => UNREACHABLE_CODES.has(code) || UNREACHABLE_CAUSES.test(code));
}

/** Whether the database has no space left on its disk. */
export function isDatabaseFull(error: unknown): boolean {
  return codesOf(error).includes('53100');
}

/** Whether PostgreSQL has ended a statement that took longer than it may. */
export function isStatementTimeout(error: unknown): boolean {
  return codesOf(error).includes('57014');
}

/** Whether the user may not call a function, or the server has none of this name. */
export function isFunctionRefused(error: unknown): boolean {
  return codesOf(error).some((code) => code === '42501' || code === '42883');
}

/** Whether the database only reads, as a standby does. */
export function isDatabaseReadOnly(error: unknown): boolean {
  return codesOf(error).includes('25006');
}

/** The codes of an error and of what Prisma's driver says about its cause: Prisma's, the system's or an SQLSTATE. */
function codesOf(error: unknown): string[] {
  const own = (error as { code?: unknown } | null)?.code;
  return [own, driverCause(error)?.originalCode].filter((code) => typeof code === 'string');
}

function driverCause(error: unknown): { kind?: string; originalCode?: string } | undefined {
  const found = error as {
    meta?: { driverAdapterError?: { cause?: { kind?: string; originalCode?: string } } };
  } | null;
  return found?.meta?.driverAdapterError?.cause;
}

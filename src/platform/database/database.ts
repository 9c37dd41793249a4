import { createHash } from 'node:crypto';
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { Prisma, PrismaClient } from './generated/prisma/client.ts';
import { readFrom } from './database-reads.ts';

export { Prisma };
export type Database = PrismaClient;
/** Client through which the statements of a running transaction are sent. */
export type Transaction = Prisma.TransactionClient;
export type Queryable = Database | Transaction;

export interface DatabaseOptions {
  /** Number of connections in the pool (default 10). */
  poolSize?: number;
  /** Longest time for which a query waits for a connection, in milliseconds (default 10,000). */
  connectTimeoutMs?: number;
}

/**
 * Time after which PostgreSQL ends a transaction whose client is idle, in milliseconds. Otherwise a process that is
 * stopped in the middle of a transaction, or whose machine hangs, would keep its locks until it wakes up. Prisma's
 * timeout of transactions is the same.
 */
export const ABANDONED_MS = 30_000;

/**
 * Creates a client with its own pool. The client connects at the first query. The caller closes it with
 * `$disconnect()`.
 */
export function createDatabase(url: string, options: DatabaseOptions = {}): Database {
  // `pgbouncer=true` is Prisma's parameter for a pooler that gives each transaction another connection. Such a pooler
  // supports neither prepared statements nor session settings.
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

/** Creates a client on a pool. The pool ends when the client disconnects. */
export function createDatabaseOn(pool: pg.Pool, nameOf: ReturnType<typeof statementNames>): Database {
  // The pool replaces an idle connection that is lost.
  pool.on('error', () => undefined);
  const adapter = new PrismaPg(pool, { statementNameGenerator: nameOf, disposeExternalPool: true });
  const db = new PrismaClient({ adapter });
  readFrom(db, { pool, nameOf });
  return db;
}

/**
 * Largest number of statements that one connection keeps prepared, and of parameters that a prepared statement may
 * have. Each statement takes some 10 KiB on the server.
 */
const PREPARED = { statements: 300, parameters: 16 } as const;

/** Matches statements whose LIMIT is a parameter; {@link usualLimit} writes the usual limit into the text instead. */
const LIMITED = /\bLIMIT \$\d/;

/**
 * Creates the function that names statements. Connections keep named statements prepared, so the server parses and
 * plans each of them once. Three kinds get no name: statements with many parameters, such as inserts of many rows,
 * because their text differs each time; statements without parameters, such as COMMIT, because they need no plan; and
 * lists, because their best plan depends on the values.
 */
export function statementNames(): (statement: { sql: string; args: readonly unknown[] }) => string {
  const names = new Map<string, string>();
  return ({ sql, args }) => {
    if (args.length === 0 || args.length > PREPARED.parameters || LIMITED.test(sql)) return '';
    const known = names.get(sql);
    if (known !== undefined || names.size >= PREPARED.statements) return known ?? '';
    // Equal names mean equal texts, even if processes share connections.
    const name = `readapt_${createHash('sha256').update(sql).digest('base64url')}`;
    names.set(sql, name);
    return name;
  };
}

/**
 * Makes the SQL expression for the LIMIT of a list for which one query plan suits all values. If `limit` is the usual
 * one, it becomes part of the statement's text, so that the statement stays prepared. This saves the planning, which is
 * half of what a small list costs PostgreSQL.
 */
export function usualLimit(limit: number, usual: number): Prisma.Sql {
  return limit === usual ? Prisma.raw(String(usual)) : Prisma.sql`${limit}`;
}

/**
 * Selects columns of the table `alias` under Prisma's names for them, for a query in SQL: `j.rollout_id AS
 * "rolloutId"`. `prefix` precedes these names.
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
/**
 * Error codes of the operating system, and SQLSTATEs of a server that is starting, is stopping or has no connection
 * left, after which the database counts as unreachable.
 */
const UNREACHABLE_CAUSES = /^(ECONNREFUSED|ECONNRESET|ENOTFOUND|EPIPE|ETIMEDOUT|08...|57P0[123]|53300)$/;
/** Names that Prisma's driver has for errors of the connection. These errors have no code. */
const UNREACHABLE_KINDS = new Set(['ConnectionClosed', 'DatabaseNotReachable', 'SocketTimeout', 'TooManyConnections']);
/** Pattern of the messages of connection errors that the driver passes on unchanged. These have no code either. */
const UNREACHABLE_MESSAGES =
  /Client has encountered a connection error|Connection terminated|exceeded when trying to connect/;

/**
 * Pattern of the messages of PostgreSQL at its limit of connections, and of a pool whose connections are all in use.
 */
const EXHAUSTED_MESSAGES = new RegExp(
  'too many clients already|remaining connection slots are reserved|too many connections for (role|database)|' +
    'timeout exceeded when trying to connect',
);

/** Whether a query failed because the server, or the pool of this process, had no connection left. */
export function isOutOfConnections(error: unknown): boolean {
  if (driverCause(error)?.kind === 'TooManyConnections' || codesOf(error).includes('53300')) return true;
  return error instanceof Error && (error.message.match(EXHAUSTED_MESSAGES) !== null || isPoolTimeout(error));
}

/** Whether Prisma has waited too long for a connection on which to begin a transaction. */
function isPoolTimeout(error: Error): boolean {
  return codesOf(error).includes('P2028') && error.message.includes('Unable to start a transaction in the given time');
}

/** Whether the database could not be reached or the connection was lost. The call may succeed later. */
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

/** Whether PostgreSQL has cancelled a statement because of a timeout. */
export function isStatementTimeout(error: unknown): boolean {
  return codesOf(error).includes('57014');
}

/** Whether the user may not call a function, or the server does not have it. */
export function isFunctionRefused(error: unknown): boolean {
  return codesOf(error).some((code) => code === '42501' || code === '42883');
}

/** Whether a statement failed because the database is read-only, as a standby is. */
export function isDatabaseReadOnly(error: unknown): boolean {
  return codesOf(error).includes('25006');
}

/** Lists the codes of an error and of its cause: Prisma's own, those of the operating system, or SQLSTATEs. */
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

/** Whether PostgreSQL can store a text: it has neither a NUL character nor half of a surrogate pair. */
export const isStorable = (text: string): boolean => !/\0|\p{Surrogate}/u.test(text);

import { Redis } from 'ioredis';
import pg from 'pg';
import { SETTINGS } from './settings.ts';
import { SetupError } from './setup-error.ts';

const TIMEOUT_MS = 10_000;

/**
 * Connects to the database once, and checks that row-level security does not hide its rows from this user.
 *
 * @throws SetupError that names DATABASE_URL and the problem
 */
export async function requireDatabase(url: string): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'readapt-check',
    connectionTimeoutMillis: TIMEOUT_MS,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    // `hidden` is null before the first migration.
    const { rows } = await client.query<{ hidden: boolean | null; user: string }>(
      `SELECT row_security_active(to_regclass('jobs')::oid) AS hidden, current_user AS user`,
    );
    if (rows[0]?.hidden === true) throw rowsHidden(rows[0].user);
  } catch (error) {
    throw error instanceof SetupError ? error : databaseError(url, error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

function rowsHidden(user: string): SetupError {
  const message =
    `DATABASE_URL: row-level security hides all rows from the user "${user}": connect as the owner of the tables, or ` +
    `let a superuser run \`ALTER ROLE ${user} BYPASSRLS\``;
  return new SetupError('database_unusable', message, { badInput: true });
}

function databaseError(url: string, cause: unknown): SetupError {
  const { host, username, pathname } = new URL(url);
  const server = `PostgreSQL at ${host || 'the local socket'}`;
  const code = codeOf(cause);
  const refuse = (badInput: boolean, message: string) =>
    new SetupError('database_unusable', `DATABASE_URL: ${message}`, { badInput, cause });
  if (code === '28P01' || code === '28000') {
    return refuse(true, `${server} refuses the user "${username}" (${code}): correct its name and password`);
  }
  if (code === '3D000') {
    return refuse(true, `${server} has no database "${pathname.slice(1)}": create it, or name another one`);
  }
  if (code === '53300') {
    return refuse(
      false,
      `${server} has no connection left (${code}): raise its max_connections, or lower ` +
        `${SETTINGS.apiConnections.variable} and ${SETTINGS.workerConnections.variable} of the processes that use it`,
    );
  }
  return refuse(false, `${server} cannot be reached (${reasonOf(cause)}): start it, or correct the address`);
}

/**
 * Connects to Redis once.
 *
 * @throws SetupError that names REDIS_URL and the problem
 */
export async function requireRedis(url: string): Promise<void> {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null, connectTimeout: TIMEOUT_MS });
  let failure: unknown = null;
  client.on('error', (error) => (failure ??= error));
  try {
    await client.connect();
    await client.ping();
  } catch (error) {
    throw redisError(url, failure ?? error);
  } finally {
    // A client whose connection has ended would wait two seconds for its end once more.
    if (client.status !== 'end') client.disconnect();
  }
}

function redisError(url: string, cause: unknown): SetupError {
  const server = `Redis at ${new URL(url).host}`;
  const message = cause instanceof Error ? cause.message : String(cause);
  const refuse = (badInput: boolean, what: string) =>
    new SetupError('redis_unusable', `REDIS_URL: ${what}`, { badInput, cause });
  const answer = /^(WRONGPASS|NOAUTH|NOPERM|ERR (invalid password|AUTH|Client sent AUTH))/.exec(message)?.[0];
  if (answer !== undefined) return refuse(true, `${server} refuses the password (${answer}): correct it`);
  return refuse(false, `${server} cannot be reached (${reasonOf(cause)}): start it, or correct the address`);
}

/**
 * Determines the reason for a failed connection: the error code of the system or the server, which contains no secret,
 * or else the message.
 */
function reasonOf(error: unknown): string {
  return codeOf(error) || (error instanceof Error ? error.message : String(error));
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

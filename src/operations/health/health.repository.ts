import type { Database } from '../../platform/database/database.ts';

/**
 * Checks that the database can write, without leaving anything behind. The check writes a transaction id to
 * PostgreSQL's write-ahead log, and a small snapshot file that the server removes at the end of the statement.
 *
 * @returns false if the database is read-only
 */
export async function probeDatabaseWrite(db: Database): Promise<boolean> {
  const [setting] = await db.$queryRaw<{ read_only: string }[]>`
    SELECT current_setting('transaction_read_only') AS read_only`;
  if (setting?.read_only !== 'off') return false;
  await db.$queryRaw`SELECT pg_current_xact_id()::text, pg_export_snapshot()`;
  return true;
}

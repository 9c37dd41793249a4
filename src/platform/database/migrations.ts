import { createHash, randomUUID } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { packagePath } from '../../../core/installation/package-path.ts';
import { prepareTenantRole } from './row-security/prepare-tenant-role.ts';

const MIGRATIONS_DIR = packagePath('prisma/migrations');

/** Key of the advisory lock that `prisma migrate` takes too, so that the two never run at the same time. */
const MIGRATION_LOCK = 72_707_369;

/**
 * Statement that creates Prisma's table of applied migrations, so that `prisma migrate deploy` can take over at any
 * time.
 */
const LEDGER_SQL = `
CREATE TABLE IF NOT EXISTS "_prisma_migrations" (
  "id"                  VARCHAR(36) PRIMARY KEY NOT NULL,
  "checksum"            VARCHAR(64) NOT NULL,
  "finished_at"         TIMESTAMPTZ,
  "migration_name"      VARCHAR(255) NOT NULL,
  "logs"                TEXT,
  "rolled_back_at"      TIMESTAMPTZ,
  "started_at"          TIMESTAMPTZ NOT NULL DEFAULT now(),
  "applied_steps_count" INTEGER NOT NULL DEFAULT 0
)`;

class MigrationError extends Error {
  readonly code = 'migration_failed';
  /** Whether only another version of Readapt can use the database, so that trying again is in vain. */
  readonly badInput: boolean;

  constructor(message: string, { badInput = false, cause }: { badInput?: boolean; cause?: unknown } = {}) {
    super(message, { cause });
    this.badInput = badInput;
    this.name = 'MigrationError';
  }
}

interface Migration {
  name: string;
  sql: string;
  /** SHA-256 of the SQL file, hexadecimal. */
  checksum: string;
}

/** Reads the migrations in the order in which they are applied. */
async function readMigrations(dir: string = MIGRATIONS_DIR): Promise<Migration[]> {
  const entries = await readdir(dir, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    names.sort().map(async (name) => {
      const sql = await readFile(path.join(dir, name, 'migration.sql'));
      return { name, sql: sql.toString('utf8'), checksum: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}

interface LedgerRow {
  migration_name: string;
  checksum: string;
  finished_at: Date | null;
}

/**
 * Names of the migrations that a database records as applied, and of those among them that only newer versions know.
 */
interface Ledger {
  applied: Set<string>;
  /** Names of applied migrations that this version of Readapt does not know, although it may use the database. */
  newer: string[];
}

/**
 * Brings a database to the newest schema: applies the missing migrations, each in one transaction with its record. Then
 * prepares the role for tenants' requests, as far as this user may. Processes that start at the same time wait for each
 * other. `onNewer` gets the names of newer migrations if the database may still be used by this version.
 *
 * @returns the names of the migrations that were applied now
 * @throws MigrationError if a file was changed after it was applied, if the database needs a newer version of Readapt,
 * if another tool left a migration unfinished, or if a migration fails (it is then rolled back)
 */
export async function applyMigrations(
  url: string,
  dir: string = MIGRATIONS_DIR,
  onNewer: (names: readonly string[]) => void = () => undefined,
): Promise<string[]> {
  const migrations = await readMigrations(dir);
  return connected(url, async (client) => {
    await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await client.query(LEDGER_SQL);
    const { applied, newer } = await readLedger(client, migrations);
    if (newer.length > 0) onNewer(newer);
    const missing = migrations.filter((migration) => !applied.has(migration.name));
    for (const migration of missing) await applyOne(client, migration);
    await prepareTenantRole(client);
    return missing.map((migration) => migration.name);
  });
}

async function readLedger(client: pg.Client, migrations: readonly Migration[]): Promise<Ledger> {
  const { rows } = await client.query<LedgerRow>(
    `SELECT migration_name, checksum, finished_at FROM "_prisma_migrations"
     WHERE rolled_back_at IS NULL ORDER BY migration_name`,
  );
  const known = new Map(migrations.map((migration) => [migration.name, migration]));
  for (const row of rows) {
    const migration = known.get(row.migration_name);
    if (row.finished_at === null) {
      throw new MigrationError(`migration ${row.migration_name} was started but never finished: resolve it by hand`);
    }
    if (migration !== undefined && row.checksum !== migration.checksum) {
      throw new MigrationError(
        `migration ${row.migration_name} has the checksum ${migration.checksum}, expected ${row.checksum}: it was ` +
          'changed after it was applied',
      );
    }
  }
  const names = rows.map((row) => row.migration_name);
  const newer = names.filter((name) => !known.has(name));
  if (newer.length > 0) await requireInWindow(client, known, newer);
  return { applied: new Set(names), newer };
}

/**
 * Checks whether this version may use the database.
 * @throws MigrationError if the database requires migrations that this version does not know
 */
async function requireInWindow(
  client: pg.Client,
  known: ReadonlyMap<string, Migration>,
  newer: readonly string[],
): Promise<void> {
  const oldest = await oldestMigration(client);
  if (oldest !== null && known.has(oldest)) return;
  throw new MigrationError(
    `the database has the migration ${newer.at(-1)}, which this version of Readapt does not know, and may only be ` +
      `used by versions that know ${oldest ?? 'it'}: start the version that has migrated it, or a later one`,
    { badInput: true },
  );
}

/**
 * Reads the name of the migration that a version of Readapt must know to be allowed to use the database; null if the
 * database names no such migration.
 */
async function oldestMigration(client: pg.Client): Promise<string | null> {
  const found = await client.query(`SELECT to_regclass('schema_window') IS NOT NULL AS found`);
  if (found.rows[0]?.found !== true) return null;
  const { rows } = await client.query<{ oldest_migration: string }>('SELECT oldest_migration FROM schema_window');
  return rows[0]?.oldest_migration ?? null;
}

async function applyOne(client: pg.Client, migration: Migration): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query(migration.sql);
    await client.query(
      `INSERT INTO "_prisma_migrations" (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
       VALUES ($1, $2, $3, now(), clock_timestamp(), 1)`,
      [randomUUID(), migration.checksum, migration.name],
    );
    await client.query('COMMIT');
  } catch (cause) {
    await client.query('ROLLBACK');
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new MigrationError(`migration ${migration.name} failed: ${reason}`, { cause });
  }
}

/** Lists the names of the migrations that the database lacks; empty if it is up to date. @throws MigrationError */
export async function pendingMigrations(url: string, dir: string = MIGRATIONS_DIR): Promise<string[]> {
  const migrations = await readMigrations(dir);
  return connected(url, async (client) => {
    const ledger = await client.query(`SELECT to_regclass('_prisma_migrations') IS NOT NULL AS found`);
    if (ledger.rows[0]?.found !== true) return migrations.map((migration) => migration.name);
    const { applied } = await readLedger(client, migrations);
    return migrations.filter((migration) => !applied.has(migration.name)).map((migration) => migration.name);
  });
}

async function connected<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'readapt-migrate' });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

import { createHash, randomUUID } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { packagePath } from '../../core/installation/package-path.ts';
import { prepareTenantRole } from './tenant-role.ts';

const MIGRATIONS_DIR = packagePath('prisma/migrations');

/** The advisory lock that Prisma's own migrate takes too, so that the two never run at the same time. */
const MIGRATION_LOCK = 72_707_369;

/** The ledger as Prisma creates it, so that `prisma migrate deploy` can take over at any time. */
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
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MigrationError';
  }
}

interface Migration {
  name: string;
  sql: string;
  /** SHA-256 of the file, hexadecimal. */
  checksum: string;
}

/** Reads the migrations in the order in which they apply. */
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
 * Brings a database to the newest schema: applies the migrations that its ledger lacks, each in one transaction with
 * its ledger row. Then prepares the role of tenants' requests, as far as this user may. Processes that start at the same
 * time wait for each other.
 *
 * @returns the names of the migrations that were applied now
 * @throws MigrationError if a file was changed after it was applied, if the database is newer than this program, if
 *   another tool left a migration unfinished, or if a migration fails (it is then rolled back)
 */
export async function applyMigrations(url: string, dir: string = MIGRATIONS_DIR): Promise<string[]> {
  const migrations = await readMigrations(dir);
  const client = new pg.Client({ connectionString: url, application_name: 'readapt-migrate' });
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await client.query(LEDGER_SQL);
    const applied = await readLedger(client, migrations);
    const missing = migrations.filter((migration) => !applied.has(migration.name));
    for (const migration of missing) await applyOne(client, migration);
    await prepareTenantRole(client);
    return missing.map((migration) => migration.name);
  } finally {
    await client.end();
  }
}

async function readLedger(client: pg.Client, migrations: readonly Migration[]): Promise<Set<string>> {
  const { rows } = await client.query<LedgerRow>(
    'SELECT migration_name, checksum, finished_at FROM "_prisma_migrations" WHERE rolled_back_at IS NULL',
  );
  const known = new Map(migrations.map((migration) => [migration.name, migration]));
  for (const row of rows) {
    const migration = known.get(row.migration_name);
    if (migration === undefined) {
      throw new MigrationError(
        `the database has the migration ${row.migration_name}, which this version of Readapt does not know`,
      );
    }
    if (row.finished_at === null) {
      throw new MigrationError(`migration ${row.migration_name} was started but never finished: resolve it by hand`);
    }
    if (row.checksum !== migration.checksum) {
      throw new MigrationError(
        `migration ${row.migration_name} has the checksum ${migration.checksum}, expected ${row.checksum}: it was changed after it was applied`,
      );
    }
  }
  return new Set(rows.map((row) => row.migration_name));
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

/** The names of the migrations that the database lacks; empty if it is up to date. */
export async function pendingMigrations(url: string, dir: string = MIGRATIONS_DIR): Promise<string[]> {
  const migrations = await readMigrations(dir);
  const client = new pg.Client({ connectionString: url, application_name: 'readapt-migrate' });
  await client.connect();
  try {
    const ledger = await client.query(`SELECT to_regclass('_prisma_migrations') IS NOT NULL AS found`);
    if (ledger.rows[0]?.found !== true) return migrations.map((migration) => migration.name);
    const applied = await readLedger(client, migrations);
    return migrations.filter((migration) => !applied.has(migration.name)).map((migration) => migration.name);
  } finally {
    await client.end();
  }
}

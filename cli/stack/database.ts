import type { Config } from '../../src/platform/config/config.ts';
import { nameDataFolder } from '../../src/platform/config/setup-error.ts';
import { hasEmbeddedPostgres, startEmbeddedPostgres } from '../../src/platform/embedded/index.ts';
import { pendingMigrations } from '../../src/platform/database/migrations.ts';
import { createDatabase, type Database } from '../../src/platform/database/database.ts';
import { requireDatabase } from '../../src/platform/config/reachable.ts';
import { UsageError } from '../process/errors.ts';

/**
 * Calls `use` with the configured database. An embedded database is shared with a running service, or started for this
 * call.
 * @throws SetupError if the database cannot be reached; UsageError if the data folder holds no database, or if
 * migrations are pending
 */
export async function withDatabase<T>(config: Config, use: (db: Database) => Promise<T>): Promise<T> {
  const { databaseUrl, dataDir } = config;
  if (databaseUrl !== null) {
    await requireDatabase(databaseUrl);
    return connected(databaseUrl, use);
  }
  if (!(await hasEmbeddedPostgres(dataDir))) {
    throw new UsageError(
      `READAPT_DATA_DIR is ${dataDir}, which holds no database: name the folder of \`readapt serve\`, or set ` +
        'DATABASE_URL',
    );
  }
  try {
    const postgres = await startEmbeddedPostgres(dataDir);
    try {
      return await connected(postgres.url, use);
    } finally {
      await postgres.stop();
    }
  } catch (error) {
    throw nameDataFolder(error, dataDir);
  }
}

async function connected<T>(url: string, use: (db: Database) => Promise<T>): Promise<T> {
  const pending = await pendingMigrations(url);
  if (pending.length > 0) {
    throw new UsageError(
      `the database lacks migrations (${pending.join(', ')}): run \`readapt migrate\` or \`serve\` first`,
    );
  }
  const db = createDatabase(url, { poolSize: 1 });
  try {
    return await use(db);
  } finally {
    await db.$disconnect();
  }
}

import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { expect, inject } from 'vitest';
import { createDatabase, type Database } from '../../../src/platform/database/database.ts';
import { undescribedEvents } from './test-events.ts';

export interface TestDatabase {
  url: string;
  db: Database;
  /** Disconnects and drops the database. It fails if the database has an event that the catalog does not describe. */
  close(): Promise<void>;
}

/** Creates a database, cloned from the migrated template, or empty. */
export async function createTestDatabase(options: { empty?: boolean } = {}): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  const template = options.empty === true ? 'template0' : 'readapt_template';
  await asAdmin((admin) => admin.query(`CREATE DATABASE ${name} TEMPLATE ${template}`));
  const url = new URL(inject('postgresUrl'));
  url.pathname = `/${name}`;
  const db = createDatabase(url.toString(), { poolSize: 8 });
  return {
    url: url.toString(),
    db,
    close: async () => {
      // A database that was created empty need not have a table of events.
      const undescribed = options.empty === true ? [] : await undescribedEvents(url.toString());
      await db.$disconnect();
      await asAdmin((admin) => admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
      expect(undescribed, 'events that are not as src/delivery/events/catalog says').toEqual([]);
    },
  };
}

async function asAdmin(work: (admin: pg.Client) => Promise<unknown>): Promise<void> {
  const admin = new pg.Client({ connectionString: inject('postgresUrl') });
  await admin.connect();
  try {
    await work(admin);
  } finally {
    await admin.end();
  }
}

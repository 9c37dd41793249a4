import { cp, mkdtemp, readdir, readFile, rm, writeFile, mkdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { describeDatabase, findDrift } from '../../../scripts/schema-drift/index.ts';
import { applyMigrations, pendingMigrations } from '../../../src/platform/database/migrations.ts';
import { createTestDatabase, type TestDatabase } from '../support/index.ts';

let database: TestDatabase;
let folder: string;

beforeEach(async () => {
  database = await createTestDatabase({ empty: true });
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-migrations-'));
  await cp('prisma/migrations', folder, { recursive: true });
});
afterEach(async () => {
  await database.close();
  await rm(folder, { recursive: true, force: true });
});

async function query(sql: string) {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

async function shape(): Promise<string[]> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    return await describeDatabase(client);
  } finally {
    await client.end();
  }
}

async function addMigration(name: string, sql: string): Promise<void> {
  await mkdir(path.join(folder, name));
  await writeFile(path.join(folder, name, 'migration.sql'), sql);
}

const FIRST = '20261202000000_initial';
const MIGRATIONS = (await readdir('prisma/migrations')).filter((name) => name !== 'migration_lock.toml').sort();

test('they apply once, and a second time nothing changes', async () => {
  expect(await pendingMigrations(database.url)).toEqual(MIGRATIONS);
  expect(await applyMigrations(database.url)).toEqual(MIGRATIONS);
  const before = await shape();
  const ledger = await query('SELECT * FROM _prisma_migrations');
  expect(await applyMigrations(database.url)).toEqual([]);
  expect(await pendingMigrations(database.url)).toEqual([]);
  expect(await shape()).toEqual(before);
  expect(await query('SELECT * FROM _prisma_migrations')).toEqual(ledger);
  const applied = { rolled_back_at: null, applied_steps_count: 1 };
  expect(ledger).toMatchObject(MIGRATIONS.map((name) => ({ migration_name: name, ...applied })));
});

test('processes that start together apply them once', async () => {
  const applied = await Promise.all([1, 2, 3, 4].map(() => applyMigrations(database.url)));
  expect(applied.flat()).toEqual(MIGRATIONS);
});

describe('they match schema.prisma', () => {
  test('in everything', async () => {
    await applyMigrations(database.url);
    expect(await findDrift(database.url)).toEqual({ missing: [], unexpected: [] });
    expect((await shape()).length).toBeGreaterThan(200);
  });

  test.each([
    ['a column', 'ALTER TABLE jobs ADD COLUMN extra text', 'column jobs.extra'],
    ['a type', 'ALTER TABLE jobs ALTER COLUMN step TYPE bigint', 'column jobs.step bigint'],
    ['a nullability', 'ALTER TABLE jobs ALTER COLUMN strategy DROP NOT NULL', 'column jobs.strategy text null'],
    ['a default', 'ALTER TABLE jobs ALTER COLUMN step SET DEFAULT 1', 'column jobs.step integer not null default 1'],
    ['an index', 'CREATE INDEX jobs_extra_idx ON jobs (strategy)', 'index jobs_extra_idx'],
    ['an enum value', "ALTER TYPE job_state ADD VALUE 'lost'", 'enum job_state'],
    [
      'a foreign key',
      `ALTER TABLE jobs DROP CONSTRAINT jobs_tenant_id_fkey;
       ALTER TABLE jobs ADD CONSTRAINT jobs_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id)`,
      'foreign key jobs_tenant_id_fkey',
    ],
    ['a table', 'CREATE TABLE extra (id text PRIMARY KEY)', 'table extra'],
  ])('and a drift of %s is found', async (_what, sql, line) => {
    await applyMigrations(database.url);
    await query(sql);
    const { unexpected } = await findDrift(database.url);
    expect(unexpected.join('\n')).toContain(line);
  });

  test('and what the schema has more is found', async () => {
    await applyMigrations(database.url);
    const schema = await readFile('prisma/schema.prisma', 'utf8');
    const more = schema.replace('model Tenant {\n', 'model Tenant {\n  color String? @unique\n');
    expect((await findDrift(database.url, more)).missing).toEqual([
      'column tenants.color text null default none',
      'unique index tenants_color_key on tenants (color)',
    ]);
  });
});

describe('what goes wrong', () => {
  test('a file that fails leaves nothing of itself, and the one before it stays', async () => {
    await addMigration('20990101000000_broken', 'CREATE TABLE half (id text); SELECT 1 / 0;');
    await expect(applyMigrations(database.url, folder)).rejects.toThrow(
      /20990101000000_broken failed: division by zero/,
    );
    expect((await shape()).join('\n')).not.toContain('table half');
    expect(await pendingMigrations(database.url, folder)).toEqual(['20990101000000_broken']);
  });

  test('a file that was changed after it was applied', async () => {
    await applyMigrations(database.url, folder);
    const file = path.join(folder, FIRST, 'migration.sql');
    await writeFile(file, `${await readFile(file, 'utf8')}\n-- later`);
    await expect(applyMigrations(database.url, folder)).rejects.toThrow(
      /20261202000000_initial has the checksum .*, expected .*: it was changed after it was applied/,
    );
  });

  test('a database that only newer programs may use', async () => {
    await addMigration(
      '20990101000000_next',
      "CREATE TABLE next (id text); UPDATE schema_window SET oldest_migration = '20990101000000_next'",
    );
    await applyMigrations(database.url, folder);
    await expect(applyMigrations(database.url)).rejects.toThrow(
      '20990101000000_next, which this version of Readapt does not know, ' +
        'and may only be used by versions that know 20990101',
    );
    await expect(pendingMigrations(database.url)).rejects.toThrow(/does not know/);
  });
});

describe('the window of versions', () => {
  test('a program starts on the database of a newer one whose window includes it, and says so', async () => {
    await addMigration('20990101000000_next', 'CREATE TABLE next (id text)');
    await applyMigrations(database.url, folder);
    const newer: (readonly string[])[] = [];
    expect(await applyMigrations(database.url, undefined, (names) => newer.push(names))).toEqual([]);
    expect(newer).toEqual([['20990101000000_next']]);
    expect(await pendingMigrations(database.url)).toEqual([]);
  });

  test('a migration that takes something away says so by raising the oldest one', async () => {
    const breaking =
      /\bDROP (TABLE|COLUMN|TYPE)\b|\bRENAME\b|\bSET NOT NULL\b|ADD COLUMN [^,;]*NOT NULL(?![^,;]*DEFAULT)/i;
    const faults: string[] = [];
    for (const name of MIGRATIONS.slice(1)) {
      const sql = await readFile(path.join(folder, name, 'migration.sql'), 'utf8');
      const statements = sql.replaceAll(/--.*$/gm, '');
      if (breaking.test(statements) && !/UPDATE "?schema_window"? SET/.test(statements)) faults.push(name);
    }
    expect(faults).toEqual([]);
  });
});

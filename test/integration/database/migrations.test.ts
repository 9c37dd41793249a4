import { cp, mkdtemp, readFile, rm, writeFile, mkdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { describeDatabase, findDrift } from '../../../scripts/schema-drift/index.ts';
import {
  applyMigrations,
  hideMigrations,
  pendingMigrations,
  showMigrations,
} from '../../../src/platform/database/migrations.ts';
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

const MIGRATIONS = [
  '20261125000000_initial',
  '20261125010000_idempotency_claims',
  '20261125020000_search_evaluation_rows',
  '20261125030000_gate_outcomes',
  '20261126000000_vocabulary',
  '20261126010000_serving_name',
  '20261126020000_row_formats',
  '20261126030000_text_metrics',
  '20261126040000_pending_baselines',
  '20261126050000_idempotency_body_bytes',
  '20261126210000_superseded_versions',
  '20261126220000_excused_attempts',
  '20261126230000_commit_order',
  '20261127010000_list_indexes',
  '20261127010000_rollout_counts',
  '20261127010000_search_points',
  '20261127010000_sweeper_lease',
  '20261127020000_tenant_isolation',
  '20261127030000_audit_log',
  '20261127030000_device_time',
  '20261127030000_key_rotation',
  '20261127030000_rate_buckets',
  '20261127030000_tenant_quotas',
  '20261127040000_retention',
  '20261127040000_soft_deletion',
  '20261127050000_schema_window',
  '20261127050100_workers',
  '20261127060000_fleet_prior',
  '20261127070000_isolation_of_later_tables',
  '20261127080000_undelete',
  '20261127080100_audit_retention',
  '20261127080200_tenant_grants',
  '20261127090000_anchor_outcomes',
  '20261127090100_certificates',
  '20261127090200_negative_flips',
  '20261127150000_current_versions',
  '20261127150100_rollout_rollbacks',
  '20261127160000_paused_states',
  '20261127160100_pauses',
  '20261127160200_waves',
  '20261127200000_adapter_labels',
  '20261127200100_wave_members',
  '20261127200200_pins_and_approvals',
  '20261127200300_sorted_lists',
  '20261127210000_start_tags',
  '20261127210100_rollout_limits',
  '20261127220000_supersession',
  '20261127220100_late_adapters',
  '20261127220200_provisional_versions',
  '20261127230000_event_rollouts',
  '20261127230100_events_of_live_rollouts',
  '20261127230200_event_rollout_indexes',
  '20261127240000_webhooks',
  '20261127240100_approval_requests',
  '20261127250000_rollout_traceparent',
  '20261127260000_job_ladders',
  '20261127260100_own_options',
  '20261127270000_rollout_forecasts',
  '20261127270100_retirement',
  '20261127270200_worker_load',
  '20261127280000_sorted_jobs',
  '20261127290000_negative_flips_of_jobs',
  '20261127290100_wave_figures',
  '20261127290200_product_aggregate',
  '20261128100000_current_version_changes',
  '20261128100100_serving_profiles',
  '20261128200000_replicas',
  '20261128300000_base_sources',
  '20261128400000_rolled_back',
  '20261128400100_ends_of_rollouts',
  '20261128500100_base_model_uploads',
  '20261128500200_adapter_version_sources',
  '20261128500400_loaded_versions',
  '20261128500401_served_features',
  '20261128500500_installation',
  '20261128500600_upload_attempts',
  '20261128530000_prompts_only',
];

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
    const file = path.join(folder, '20261125000000_initial', 'migration.sql');
    await writeFile(file, `${await readFile(file, 'utf8')}\n-- later`);
    await expect(applyMigrations(database.url, folder)).rejects.toThrow(
      /20261125000000_initial has the checksum .*, expected .*: it was changed after it was applied/,
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
    await expect(hideMigrations(database.url)).rejects.toThrow(/0.2.0 cannot use this database/);
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

  test('0.2.0, which knows no window, is shown a ledger that ends with its own migrations', async () => {
    await applyMigrations(database.url);
    const before = await query('SELECT * FROM _prisma_migrations ORDER BY migration_name');
    const hidden = await hideMigrations(database.url);
    expect(hidden).toEqual(MIGRATIONS.slice(MIGRATIONS.indexOf('20261126000000_vocabulary') + 1));
    // Query of version 0.2.0.
    const seen = await query('SELECT migration_name FROM _prisma_migrations WHERE rolled_back_at IS NULL');
    expect(
      seen
        .map((row) => (row as { migration_name: string }).migration_name)
        .sort()
        .at(-1),
    ).toBe('20261126000000_vocabulary');
    expect(await applyMigrations(database.url)).toEqual([]);
    await showMigrations(database.url);
    expect(await query('SELECT * FROM _prisma_migrations ORDER BY migration_name')).toEqual(before);
  });

  test('a migration that takes something away says so by raising the oldest one', async () => {
    const breaking =
      /\bDROP (TABLE|COLUMN|TYPE)\b|\bRENAME\b|\bSET NOT NULL\b|ADD COLUMN [^,;]*NOT NULL(?![^,;]*DEFAULT)/i;
    const later = MIGRATIONS.slice(MIGRATIONS.indexOf('20261127050000_schema_window'));
    const faults: string[] = [];
    for (const name of later) {
      const sql = await readFile(path.join(folder, name, 'migration.sql'), 'utf8');
      const statements = sql.replaceAll(/--.*$/gm, '');
      if (breaking.test(statements) && !/UPDATE "?schema_window"? SET/.test(statements)) faults.push(name);
    }
    expect(faults).toEqual([]);
  });
});

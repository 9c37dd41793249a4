import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  confinementProblem,
  prepareTenantRole,
} from '../../../src/platform/database/row-security/prepare-tenant-role.ts';
import { Prisma, withTransaction, type Transaction } from '../../../src/platform/database/database.ts';
import { confineTo } from '../../../src/platform/database/row-security/confined-database.repository.ts';
import { createAccessWorld, type AccessWorld } from './world.ts';

const ALL = 'all columns';

/**
 * Rights of SQL statements in a tenant's request per table: those that the service's statements need. A new table fails
 * the test until its rights are decided here and in src/platform/database/row-security/tenant-grants.ts.
 */
const GRANTS: Record<string, Record<string, string>> = {
  _prisma_migrations: {},
  adapter_labels: { SELECT: ALL },
  adapter_versions: { SELECT: ALL, INSERT: ALL, UPDATE: 'deleted_at' },
  adapters: {
    SELECT: ALL,
    INSERT: ALL,
    UPDATE: 'approval dataset_id deleted_at gate labels name pinned_base_model_version_id',
  },
  anchor_outcomes: {},
  api_keys: { SELECT: ALL, INSERT: ALL, UPDATE: 'expires_at revoked_at' },
  approval_requests: {},
  artifacts: {},
  audit_entries: {
    SELECT: ALL,
    INSERT: 'actor after before id key_id operation request_id subject_id tenant_id',
  },
  base_model_upload_files: {},
  base_model_upload_parts: {},
  base_model_uploads: {},
  base_model_versions: { SELECT: ALL },
  base_models: { SELECT: ALL },
  base_source_tokens: {},
  current_versions: {
    SELECT: ALL,
    INSERT: 'adapter_id adapter_version_id base_model_version_id changed_at held_job_id previous_version_id tenant_id',
    UPDATE: 'adapter_version_id changed_at held_job_id previous_version_id',
  },
  datasets: { SELECT: ALL, INSERT: ALL, UPDATE: 'deleted_at name' },
  device_uses: { SELECT: ALL },
  event_retention: {},
  events: { SELECT: ALL, INSERT: 'data id occurred_at subject_id tenant_id transaction_id type' },
  evolutions: { SELECT: ALL },
  gate_outcomes: { SELECT: 'adapter_version_id tenant_id value' },
  idempotency_records: { SELECT: ALL, UPDATE: 'body_bytes created_at request_hash response status_code' },
  installation: {},
  job_ladders: { SELECT: ALL },
  job_waits: { SELECT: ALL },
  jobs: {
    SELECT: ALL,
    UPDATE:
      'admission evaluate_ms evolution_ms fine_tune_ms finished_at held_ms initialize_ms lease_expires_at ' +
      'lease_owner paused_at paused_by phase_since prepare_ms publish_ms queue_wait_ms state updated_at',
  },
  late_adapters: {},
  metric_points: { SELECT: ALL },
  negative_flips: { SELECT: ALL },
  outbox: {},
  outcome_requests: { SELECT: ALL, INSERT: 'adapter_version_id tenant_id', UPDATE: 'requested_at' },
  process_leases: {},
  provisional_requests: {},
  rate_buckets: {},
  rollback_counts: { SELECT: ALL },
  replica_adapters: {},
  replicas: {},
  rollout_counts: {},
  rollout_device_uses: {},
  rollout_forecasts: {},
  rollout_rollbacks: { SELECT: 'finished_at requested_at rollout_id' },
  rollout_tenant_counts: { SELECT: ALL },
  rollouts: { SELECT: ALL },
  schema_window: {},
  search_evaluations: { SELECT: ALL },
  tenant_usage: { SELECT: ALL, INSERT: 'tenant_id', UPDATE: 'tenant_id' },
  tenants: { SELECT: ALL, UPDATE: 'id' },
  upload_reservations: { SELECT: ALL, INSERT: ALL, UPDATE: 'bytes expires_at', DELETE: ALL },
  wave_figures: {},
  wave_members: {},
  webhook_deliveries: {
    SELECT: ALL,
    INSERT: 'endpoint_id event_id event_type id next_attempt_at state tenant_id',
    UPDATE: 'attempts first_attempt_at next_attempt_at state',
  },
  webhook_endpoints: {
    SELECT: ALL,
    INSERT: 'description event_types id position_seq position_transaction_id tenant_id url',
    UPDATE:
      'description disabled_reason enabled event_types failures lease_expires_at lease_owner next_turn_at ' +
      'position_seq position_transaction_id url',
    DELETE: ALL,
  },
  webhook_secrets: {
    SELECT: 'endpoint_id expires_at id tenant_id',
    INSERT: 'endpoint_id id sealed tenant_id',
    UPDATE: 'expires_at',
  },
  workers: {},
};

let world: AccessWorld;
let client: pg.Client;
beforeAll(async () => {
  world = await createAccessWorld();
  client = new pg.Client({ connectionString: world.service.database.url });
  await client.connect();
});
afterAll(async () => {
  await client.end();
  await world.close();
});

/** Rights that the database grants the role on each table of the service. */
async function granted(): Promise<typeof GRANTS> {
  const { rows: tables } = await client.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm')
     AND relnamespace = 'public'::regnamespace`,
  );
  const { rows } = await client.query<{ name: string; privilege: string; columns: string }>(`
    SELECT table_name AS name, privilege_type AS privilege,
      CASE WHEN bool_or(whole) THEN '${ALL}' ELSE string_agg(column_name, ' '
        ORDER BY column_name COLLATE "C") END AS columns
    FROM (
      SELECT table_name, privilege_type, NULL AS column_name, TRUE AS whole FROM information_schema.table_privileges
      WHERE grantee = 'readapt_tenant' AND table_schema = 'public'
      UNION ALL
      SELECT table_name, privilege_type, column_name, FALSE FROM information_schema.column_privileges
      WHERE grantee = 'readapt_tenant' AND table_schema = 'public'
    ) AS found GROUP BY 1, 2`);
  const found: typeof GRANTS = Object.fromEntries(tables.map(({ name }) => [name, {}]));
  for (const { name, privilege, columns } of rows) found[name]![privilege] = columns;
  return found;
}

test('the role for tenants has these privileges and no others', async () => {
  expect(await granted()).toEqual(GRANTS);
});

test('a start takes back what the role should not have, and gives what it lacks', async () => {
  await client.query('GRANT ALL ON ALL TABLES IN SCHEMA public TO readapt_tenant');
  await client.query('GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO readapt_tenant');
  await client.query('GRANT UPDATE (quotas) ON tenants TO readapt_tenant');
  await prepareTenantRole(client);
  expect(await granted()).toEqual(GRANTS);
  const sequences = await client.query(
    `SELECT object_name FROM information_schema.usage_privileges WHERE grantee = 'readapt_tenant'
     AND object_type = 'SEQUENCE'
     ORDER BY 1`,
  );
  expect(sequences.rows.map(({ object_name }) => object_name as string)).toEqual([
    'audit_entries_seq_seq',
    'events_seq_seq',
  ]);
  await client.query('REVOKE ALL ON ALL TABLES IN SCHEMA public FROM readapt_tenant');
  expect(await confinementProblem(world.service.database.url)).toContain('UPDATE (id) ON public.tenants');
  await prepareTenantRole(client);
  expect(await confinementProblem(world.service.database.url)).toBeNull();
});

describe('a statement in a request of a tenant cannot', () => {
  const run = (sql: Prisma.Sql) =>
    withTransaction(confineTo(world.service.db, world.acme.id), (tx: Transaction) => tx.$executeRaw(sql));
  const tenant = () => world.acme.id;

  test.each<[string, () => Prisma.Sql]>([
    ['raise its quotas', () => Prisma.sql`UPDATE tenants SET quotas = '{}'`],
    ['undelete itself', () => Prisma.sql`UPDATE tenants SET deleted_at = NULL`],
    ['lower what counts against its quotas', () => Prisma.sql`UPDATE tenant_usage SET stored_bytes = 0`],
    ['remove what counts against its quotas', () => Prisma.sql`DELETE FROM tenant_usage`],
    ['remove its use of devices', () => Prisma.sql`DELETE FROM device_uses`],
    ['fill its bucket of requests', () => Prisma.sql`UPDATE rate_buckets SET tokens = 1e9`],
    ['widen the scopes of a key', () => Prisma.sql`UPDATE api_keys SET scopes = '{tenant:admin}'`],
    ['change an audit entry', () => Prisma.sql`UPDATE audit_entries SET operation = 'nothing'`],
    ['remove an audit entry', () => Prisma.sql`DELETE FROM audit_entries`],
    [
      'give an audit entry another time',
      () =>
        Prisma.sql`INSERT INTO audit_entries (id, tenant_id, actor, operation, subject_id, occurred_at)
        VALUES ('x', ${tenant()}, 'tenant', 'x', 'x', '2000-01-01')`,
    ],
    [
      'give an event a place that others need',
      () =>
        Prisma.sql`INSERT INTO events (seq, id, tenant_id, type, subject_id, data)
        VALUES (1000000, 'x', ${tenant()}, 'x', 'x', '{}')`,
    ],
    ['change an event', () => Prisma.sql`UPDATE events SET type = 'x'`],
    ['read the digests of all tenants', () => Prisma.sql`SELECT digest FROM artifacts`],
    ['publish by itself', () => Prisma.sql`UPDATE adapter_versions SET artifact_digest = 'sha256:0'`],
    ['end the removal of its adapter', () => Prisma.sql`UPDATE adapters SET collection_began_at = NULL`],
    ['remove rows for good', () => Prisma.sql`DELETE FROM adapters`],
    ['change what jobs have measured', () => Prisma.sql`UPDATE jobs SET metric_best = 1`],
    ['enqueue jobs', () => Prisma.sql`INSERT INTO outbox (queue, job_id, payload) VALUES ('x', 'x', '{}')`],
    ['read the secrets of its webhooks', () => Prisma.sql`SELECT sealed FROM webhook_secrets`],
    ['see the workers', () => Prisma.sql`SELECT host FROM workers`],
  ])('%s', async (_what, sql) => {
    await expect(run(sql())).rejects.toThrow(/permission denied/);
  });

  test('write an audit entry as the operator, or with a key that is not its own', async () => {
    const write = (actor: string, keyId: string | null) =>
      run(Prisma.sql`INSERT INTO audit_entries (id, tenant_id, actor, key_id, operation, subject_id)
        VALUES (${`aud_${actor}_${keyId}`}, ${tenant()}, ${actor}, ${keyId}, 'x', 'x')`);
    for (const [actor, keyId] of [
      ['operator', world.acme.owned.key],
      ['tenant', null],
      ['tenant', world.other.owned.key],
    ] as const) {
      await expect(write(actor, keyId), `${actor} ${keyId}`).rejects.toThrow(/row-level security policy/);
    }
    expect(await write('tenant', world.acme.owned.key)).toBe(1);
  });

  test('reserve less than nothing', async () => {
    await expect(run(Prisma.sql`UPDATE upload_reservations SET bytes = -1`)).rejects.toThrow(/not_negative/);
  });
});

import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Prisma, withTransaction, type Database } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { prepareTenantRole } from '../../../src/platform/database/row-security/prepare-tenant-role.ts';
import { pageOfAdapters } from '../../../src/fleet/adapters/adapter-page.repository.ts';
import {
  findAdapterRow,
  findAdapterVersion,
  pageOfAdapterVersions,
} from '../../../src/fleet/adapters/adapter.repository.ts';
import { createApiKeyRepository } from '../../../src/tenants/api-keys/api-key.repository.ts';
import { findDataset, pageOfDatasets } from '../../../src/fleet/datasets/dataset.repository.ts';
import { eventsAfter, recordEvent } from '../../../src/delivery/events/index.ts';
import { cancelJobs } from '../../../src/fleet/jobs/index.ts';
import { createJobRepository } from '../../../src/fleet/jobs/job.repository.ts';
import { createIdempotencyRepository } from '../../../src/api/plugins/idempotency/idempotency.repository.ts';
import { confineTo } from '../../../src/platform/database/row-security/confined-database.repository.ts';
import { createAccessWorld, type AccessWorld } from './world.ts';
import { unknownEvent } from '../support/test-events.ts';

let world: AccessWorld;
let client: pg.Client;
/** Tables with rows of tenants, with the column that names the tenant. */
let tables: { name: string; column: string }[];

const WITH_TENANT_ID = `
  SELECT c.relname AS name, c.relrowsecurity AS secured,
    EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'readapt_own_rows') AS policy
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
  WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY 1`;

beforeAll(async () => {
  world = await createAccessWorld();
  client = new pg.Client({ connectionString: world.service.database.url });
  await client.connect();
  const { rows } = await client.query<{ name: string }>(WITH_TENANT_ID);
  tables = rows.map(({ name }) => ({ name, column: 'tenant_id' }));
  tables.push({ name: 'tenants', column: 'id' }, { name: 'idempotency_records', column: 'principal' });
  const idempotency = createIdempotencyRepository(world.service.db);
  for (const { id } of [world.acme, world.other]) {
    await idempotency.claim({ principal: id, key: 'k', claimId: 'c' }, { hash: 'h', bytes: 1 });
  }
});
afterAll(async () => {
  await client.end();
  await world.close();
});

const confined = (): Database => confineTo(world.service.db, world.acme.id);

// The policies must suffice, whatever else the role may do.
describe('every table with rows of tenants', () => {
  beforeAll(() =>
    client.query('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO readapt_tenant'),
  );
  afterAll(() => prepareTenantRole(client));

  test('has a policy, and one without is found', async () => {
    const unprotected = async () => {
      const { rows } = await client.query<{ name: string; secured: boolean; policy: boolean }>(WITH_TENANT_ID);
      return rows.filter(({ secured, policy }) => !secured || !policy).map(({ name }) => name);
    };
    expect(await unprotected(), 'call readapt_isolate in the migration that creates the table').toEqual([]);
    await client.query('CREATE TABLE forgotten (id text PRIMARY KEY, tenant_id text NOT NULL)');
    try {
      expect(await unprotected()).toEqual(['forgotten']);
      await client.query(`SELECT readapt_isolate('forgotten')`);
      expect(await unprotected()).toEqual([]);
    } finally {
      await client.query('DROP TABLE forgotten');
    }
  });

  test('shows a tenant its own rows, and the operator all, whatever the query forgets', async () => {
    expect(tables.length).toBeGreaterThan(10);
    for (const { name, column } of tables) {
      const owners = Prisma.sql`SELECT DISTINCT ${Prisma.raw(column)} AS owner FROM ${Prisma.raw(name)} ORDER BY 1`;
      expect(await confined().$queryRaw(owners), name).toEqual([{ owner: world.acme.id }]);
      const all = await world.service.db.$queryRaw<{ owner: string | null }[]>(owners);
      expect(
        all.map(({ owner }) => owner),
        name,
      ).toContain(world.other.id);
    }
  });

  test('changes and deletes for a tenant its own rows only', async () => {
    for (const { name, column } of tables) {
      const [table, owner] = [Prisma.raw(name), Prisma.raw(column)];
      const own = await world.service.db.$queryRaw<{ count: number }[]>`
        SELECT count(*)::int FROM ${table} WHERE ${owner} = ${world.acme.id}`;
      expect(await confined().$executeRaw`UPDATE ${table} SET ${owner} = ${owner}`, name).toBe(own[0]!.count);
      const stolen = confined().$executeRaw`UPDATE ${table} SET ${owner} = ${world.other.id}`;
      await expect(stolen, name).rejects.toThrow(/row-level security policy/);
      const deleted = confined().$executeRaw`DELETE FROM ${table} WHERE ${owner} IS DISTINCT FROM ${world.acme.id}`;
      expect(await deleted, name).toBe(0);
    }
  });

  test('takes no row for another tenant or for the operator', async () => {
    const event = (tenantId: string | null) => unknownEvent({ tenantId, subjectId: 'x' });
    await recordEvent(confined(), event(world.acme.id));
    for (const tenantId of [world.other.id, null]) {
      await expect(recordEvent(confined(), event(tenantId))).rejects.toThrow(/row-level security policy/);
    }
    const key = { id: newId('apiKey'), tenantId: null, name: 'x', prefix: 'x', secretHash: 'x', scopes: ['operator'] };
    await expect(confined().apiKey.create({ data: key })).rejects.toThrow(/row-level security policy/);
  });
});

// Null and undefined mean any tenant, so these are the repositories' queries without their conditions.
describe('a repository that forgets the tenant', () => {
  test('finds and lists only what is the tenant’s', async () => {
    const { owned } = world.other;
    for (const [db, sees] of [
      [confined(), false],
      [world.service.db, true],
    ] as const) {
      const jobs = createJobRepository(db);
      const keys = createApiKeyRepository(db);
      const found = await Promise.all([
        findAdapterRow(db, owned.adp, null),
        findAdapterVersion(db, { adapterId: owned.adp, id: owned.adv }, null),
        findDataset(db, owned.dst, null),
        jobs.find(owned.job, null),
        keys.find(owned.key, undefined),
      ]);
      expect(found.map((row) => row !== null)).toEqual(found.map(() => sees));
      const listed = await Promise.all([
        pageOfAdapters(db, {}, null),
        pageOfAdapterVersions(db, owned.adp, {}),
        pageOfDatasets(db, {}, null),
        jobs.page({}, null),
        jobs.metricPoints(owned.job, {}),
        jobs.changedAfter({ transaction: 0n, sequence: 0n }, {}, null).then(({ rows }) => rows),
        keys.page({}, undefined),
      ]);
      for (const rows of listed) {
        const tenants = rows.map((row) => row.tenantId);
        expect(tenants.includes(world.other.id)).toBe(sees);
      }
    }
  });

  test('cannot read the events of all, because what is noted of their pruning is the operator’s', async () => {
    const eventsOfAll = (db: Database) => eventsAfter(db, { transaction: 0n, sequence: 0n }, {}, null);
    const { events } = await eventsOfAll(world.service.db);
    expect(events.some((event) => event.tenant_id === world.other.id)).toBe(true);
    await expect(eventsOfAll(confined())).rejects.toThrow(/permission denied for table event_retention/);
    const own = await confined().event.findMany();
    expect(new Set(own.map(({ tenantId }) => tenantId))).toEqual(new Set([world.acme.id]));
  });

  test('changes nothing of another tenant', async () => {
    const { owned } = world.other;
    expect(await createApiKeyRepository(confined()).revoke(owned.key)).toBeNull();
    const { jobs } = await withTransaction(confined(), (tx) => cancelJobs(tx, { jobId: owned.job }));
    expect(jobs).toEqual([]);
    expect(await world.service.db.job.findUnique({ where: { id: owned.job } })).toMatchObject({ state: 'queued' });
    expect(await world.service.db.apiKey.findUnique({ where: { id: owned.key } })).toMatchObject({ revokedAt: null });
  });

  test('cannot name rows of another tenant in new ones of its own', async () => {
    const { rows: before } = await client.query('SELECT count(*) FROM adapters');
    const answer = await world.service.request({
      method: 'POST',
      url: '/v1/adapters',
      key: world.acme.key,
      payload: {
        name: 'stolen',
        base_model: 'tiny',
        dataset_id: world.other.owned.dst,
        metric: 'loss',
        gate: { kind: 'absolute', target: 1 },
      },
    });
    expect(answer.statusCode).toBe(404);
    expect((await client.query('SELECT count(*) FROM adapters')).rows).toEqual(before);
  });
});

test('the requests of tenants run under the role, those of the operator do not', async () => {
  // Hides everything from the role, which shows who has it.
  for (const { name } of tables) {
    await client.query(`CREATE POLICY hide_all ON ${name} AS RESTRICTIVE TO readapt_tenant USING (false)`);
  }
  try {
    const { owned, key } = world.acme;
    for (const url of [
      `/v1/tenants/${owned.ten}`,
      `/v1/datasets/${owned.dst}`,
      `/v1/adapters/${owned.adp}`,
      `/v1/adapters/${owned.adp}/versions/${owned.adv}`,
      `/v1/jobs/${owned.job}`,
      `/v1/jobs/${owned.job}/metrics`,
      `/v1/adapters/${owned.adp}/versions/${owned.adv}/negative-flips`,
    ]) {
      expect((await world.service.request({ url, key })).statusCode, url).toBe(404);
      expect((await world.service.request({ url })).statusCode, url).toBe(200);
    }
    for (const url of [
      '/v1/api-keys',
      '/v1/datasets',
      '/v1/adapters',
      '/v1/jobs',
      '/v1/jobs?changed_after=0',
      '/v1/events',
    ]) {
      expect((await world.service.request({ url, key })).json().data, url).toEqual([]);
      expect((await world.service.request({ url })).json().data, url).not.toEqual([]);
    }
    const jobs = async (of?: string) =>
      (await world.service.request({ url: `/v1/rollouts/${world.rolloutId}`, key: of })).json().summary.adapters;
    expect([await jobs(key), await jobs()]).toEqual([0, 2]);
  } finally {
    for (const { name } of tables) await client.query(`DROP POLICY hide_all ON ${name}`);
  }
});

test('a job that a tenant cancels completes the rollout only when those of all tenants have ended', async () => {
  const { db } = world.service;
  await db.rollout.update({ where: { id: world.rolloutId }, data: { state: 'adapting' } });
  const state = async () => (await db.rollout.findUnique({ where: { id: world.rolloutId } }))?.state;
  const cancel = (id: string, key: string) =>
    world.service.request({ method: 'POST', url: `/v1/jobs/${id}/cancel`, key });
  expect((await cancel(world.acme.owned.job, world.acme.key)).json().state).toBe('cancelled');
  expect(await state()).toBe('adapting');
  expect((await cancel(world.other.owned.job, world.other.key)).json().state).toBe('cancelled');
  expect(await state()).toBe('completed');
});

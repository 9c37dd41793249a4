import { Registry } from 'prom-client';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createDatabase, withTransaction } from '../../../src/platform/database/database.ts';
import { registerPoolMetrics, registerServiceMetrics } from '../../../src/operations/metrics/index.ts';
import { registerWorkerMetrics } from '../../../src/operations/workers/index.ts';
import { createRolloutService } from '../../../src/fleet/rollouts/index.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestQueue, logger, type TestQueue } from '../queue/test-queue.ts';
import { untilReadable } from '../support/index.ts';
import { samplesOf } from './samples.ts';

let queue: TestQueue;
let fleet: Fleet;
beforeAll(async () => {
  queue = await createTestQueue();
  fleet = await createFleet(queue.database.db, { tenants: 2, adapters: 3 });
});
afterAll(async () => {
  await queue.close();
  await fleet.remove();
});
beforeEach(async () => {
  await queue.database.db.rollout.deleteMany();
  await queue.clear();
});

function registryWith(options: Partial<Parameters<typeof registerServiceMetrics>[1]> = {}): Registry {
  const registry = new Registry();
  const { db } = queue.database;
  const { producer } = queue;
  registerServiceMetrics(registry, {
    db,
    producer,
    logger,
    checks: {},
    warnings: () => Promise.resolve([]),
    clockToleranceMs: 60_000,
    keptMs: 0,
    ...options,
  });
  return registry;
}

const begin = async (): Promise<string> => {
  const rollouts = createRolloutService({ db: queue.database.db, producer: queue.producer });
  return (await rollouts.create({ base_model_version_id: fleet.newVersionId, options: {} })).id;
};

test('a service without work has every series, at zero', async () => {
  const samples = await samplesOf(registryWith());
  expect(samples).toMatchObject({
    'readapt_rollouts{state="planning"}': 0,
    'readapt_rollouts{state="paused"}': 0,
    readapt_rollouts_awaiting_approval: 0,
    'readapt_outbox_entries{queue="adaptations"}': 0,
    readapt_outbox_oldest_age_seconds: 0,
    readapt_leases: 0,
    readapt_leases_expired: 0,
    readapt_oldest_lease_age_seconds: 0,
    'readapt_webhook_endpoints{state="disabled"}': 0,
    readapt_webhook_oldest_event_age_seconds: 0,
    readapt_webhook_overdue_seconds: 0,
    'readapt_queue_jobs{queue="adaptations",state="waiting"}': 0,
    'readapt_queue_jobs{queue="rollouts",state="delayed"}': 0,
    'readapt_readiness_check{check="database"}': 1,
  });
});

test('rollouts, their jobs, what workers hold and what waits are counted', async () => {
  const { db } = queue.database;
  const id = await begin();
  for (const [index, adapterId] of fleet.adapters.entries()) {
    const tenantId = fleet.tenants[index % fleet.tenants.length]!;
    const job = { rolloutId: id, tenantId, adapterId, strategy: 'auto', metricName: 'accuracy' };
    await db.job.create({ data: { id: `job_${index}`, ...job, kind: 'adaptation' } });
  }
  await db.$executeRaw`
    UPDATE jobs SET state = 'preparing', lease_owner = 'gone', lease_expires_at = now() - interval '1 s'
      WHERE id = 'job_0'`;
  await db.$executeRaw`
    UPDATE jobs SET state = 'fine_tuning', lease_owner = 'here', lease_expires_at = now() + interval '1 h'
      WHERE id = 'job_1'`;
  await db.$executeRaw`UPDATE jobs SET leased_at = now() - interval '50 s' WHERE id = 'job_1'`;
  await db.$executeRaw`UPDATE rollouts SET state = 'adapting', awaiting_approval = TRUE WHERE id = ${id}`;
  // Of these two entries, only a newer version knows the second, which is older.
  await db.$executeRaw`
    INSERT INTO outbox (queue, job_id, payload, created_at) VALUES
      ('adaptations', 'x', '{"name": "adaptation.run"}', now() - interval '90 s'),
      ('adaptations', 'y', '{"name": "adaptation.later"}', now() - interval '900 s')`;
  const samples = await samplesOf(registryWith());
  expect(samples).toMatchObject({
    'readapt_rollouts{state="adapting"}': 1,
    readapt_rollouts_awaiting_approval: 1,
    'readapt_jobs{kind="adaptation",state="queued"}': 1,
    'readapt_jobs{kind="adaptation",state="fine_tuning"}': 1,
    readapt_leases: 2,
    readapt_leases_expired: 1,
    'readapt_outbox_entries{queue="adaptations"}': 1,
    'readapt_queue_jobs{queue="rollouts",state="waiting"}': 1,
  });
  expect(samples.readapt_oldest_lease_age_seconds).toBeGreaterThanOrEqual(50);
  expect(samples.readapt_oldest_lease_age_seconds).toBeLessThan(80);
  const age = samples.readapt_outbox_oldest_age_seconds;
  expect(age).toBeGreaterThanOrEqual(90);
  expect(age).toBeLessThan(120);
});

describe('of webhooks,', () => {
  const samples = async () => {
    const found = await samplesOf(registryWith());
    return {
      enabled: found['readapt_webhook_endpoints{state="enabled"}'],
      disabled: found['readapt_webhook_endpoints{state="disabled"}'],
      oldest: found.readapt_webhook_oldest_event_age_seconds!,
      overdue: found.readapt_webhook_overdue_seconds!,
    };
  };
  const addEndpoint = async (id: string, tenantId: string | null, more: object = {}) => {
    const { db } = queue.database;
    await db.webhookEndpoint.create({
      data: { id, tenantId, url: 'https://example.com', positionTransactionId: 0, positionSeq: 0, ...more },
    });
  };
  beforeEach(async () => {
    const { db } = queue.database;
    await db.webhookEndpoint.deleteMany();
    await db.$executeRaw`DELETE FROM events`;
  });

  test('those that were disabled by their failures are counted, and nothing waits for them', async () => {
    const tenant = fleet.tenants[0]!;
    await addEndpoint('whe_1', tenant);
    await addEndpoint('whe_2', tenant, { enabled: false, disabledReason: 'failing' });
    await addEndpoint('whe_3', tenant, { enabled: false, disabledReason: 'requested' });
    expect(await samples()).toEqual({ enabled: 1, disabled: 1, oldest: 0, overdue: 0 });
  });

  test('the oldest event that was not delivered is seen, and the endpoint that nobody serves', async () => {
    const { db } = queue.database;
    const [own, other] = fleet.tenants as [string, string];
    await addEndpoint('whe_1', own);
    const add = (tenantId: string | null, id: string) =>
      db.$executeRaw`
        INSERT INTO events (id, tenant_id, type, subject_id, data, occurred_at)
        VALUES (${id}, ${tenantId}, 'job.ready', 'x', '{}', now() - interval '500 s')`;
    await add(other, 'evt_1');
    await untilReadable(db);
    expect(await samples()).toMatchObject({ oldest: 0, overdue: 0 });
    await add(own, 'evt_2');
    await untilReadable(db);
    // The endpoint's turn has been due for 100 s.
    await db.$executeRaw`UPDATE webhook_endpoints SET next_turn_at = now() - interval '100 s'`;
    const waiting = await samples();
    expect(waiting.oldest).toBeGreaterThanOrEqual(500);
    expect(waiting.oldest).toBeLessThan(530);
    expect(waiting.overdue).toBeGreaterThanOrEqual(100);
    expect(waiting.overdue).toBeLessThan(130);
    // While a process sends to the endpoint it is not overdue, but its events still wait.
    await db.$executeRaw`UPDATE webhook_endpoints SET lease_owner = 'a', lease_expires_at = now() + interval '60 s'`;
    expect((await samples()).overdue).toBe(0);
    expect((await samples()).oldest).toBeGreaterThanOrEqual(500);
  });

  test('what is tried again waits since its first attempt, and is due at its next one', async () => {
    const { db } = queue.database;
    await addEndpoint('whe_1', null);
    await db.$executeRaw`
      INSERT INTO webhook_deliveries (id, endpoint_id, event_id, event_type, state, attempts, first_attempt_at,
        next_attempt_at)
      VALUES ('whd_1', 'whe_1', 'evt_1', 'job.ready', 'pending', 3, now() - interval '900 s', now() + interval '900 s'),
        ('whd_2', 'whe_1', 'evt_2', 'job.ready', 'failed', 10, now() - interval '9000 s', NULL)`;
    const resting = await samples();
    expect(resting.oldest).toBeGreaterThanOrEqual(900);
    expect(resting.oldest).toBeLessThan(930);
    expect(resting.overdue).toBe(0);
    await db.$executeRaw`UPDATE webhook_deliveries SET next_attempt_at = now() - interval '60 s' WHERE id = 'whd_1'`;
    await db.$executeRaw`UPDATE webhook_endpoints SET next_turn_at = now() - interval '300 s'`;
    expect((await samples()).overdue).toBeGreaterThanOrEqual(60);
    expect((await samples()).overdue).toBeLessThan(90);
  });
});

test('what cannot be read has no value, and the answer does not wait for it', async () => {
  const unreachable = createDatabase('postgresql://nobody@127.0.0.1:1/none');
  const countByState = () => new Promise<never>(() => undefined);
  const artifacts = async () => Promise.reject(new Error('full'));
  const samples = await samplesOf(
    registryWith({ db: unreachable, producer: { countByState }, checks: { artifacts_write: artifacts } }),
  );
  expect(samples).toEqual({
    'readapt_readiness_check{check="database"}': 0,
    'readapt_readiness_check{check="artifacts_write"}': 0,
  });
});

test('workers that cannot be read have no value, which would be a claim that there are none', async () => {
  const registry = new Registry();
  registerWorkerMetrics(registry, { db: createDatabase('postgresql://nobody@127.0.0.1:1/none'), logger });
  expect(await samplesOf(registry)).toEqual({});
});

describe('scrapes', () => {
  test('at once, and soon after each other, are one reading', async () => {
    const countByState = vi.fn(async (name: 'rollouts' | 'adaptations') => queue.producer.countByState(name));
    const registry = registryWith({ producer: { countByState }, keptMs: 60_000 });
    await Promise.all([registry.metrics(), registry.metrics()]);
    await registry.metrics();
    expect(countByState).toHaveBeenCalledTimes(2);
  });

  test('later see what has changed', async () => {
    const registry = registryWith();
    await registry.metrics();
    await begin();
    expect(await samplesOf(registry)).toMatchObject({ 'readapt_rollouts{state="planning"}': 1 });
  });
});

test('the connections of the pool are counted', async () => {
  const db = createDatabase(queue.database.url, { poolSize: 3 });
  const registry = new Registry();
  registerPoolMetrics(registry, db);
  await withTransaction(db, async (tx) => {
    await tx.$queryRaw`SELECT 1`;
    expect(await samplesOf(registry)).toEqual({
      'readapt_database_connections{state="busy"}': 1,
      'readapt_database_connections{state="idle"}': 0,
      readapt_database_connections_limit: 3,
      readapt_database_queries_waiting: 0,
    });
  });
  await db.$disconnect();
});

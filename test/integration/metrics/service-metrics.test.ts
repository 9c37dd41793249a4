import { Registry } from 'prom-client';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createDatabase } from '../../../src/lib/database.ts';
import { registerPoolMetrics, registerServiceMetrics } from '../../../src/modules/metrics/index.ts';
import { createRolloutService } from '../../../src/modules/rollouts/index.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestQueue, logger, type TestQueue } from '../queue/test-queue.ts';
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
    UPDATE jobs SET state = 'preparing', lease_owner = 'gone', lease_expires_at = now() - interval '1 s' WHERE id = 'job_0'`;
  await db.$executeRaw`
    UPDATE jobs SET state = 'fine_tuning', lease_owner = 'here', lease_expires_at = now() + interval '1 h' WHERE id = 'job_1'`;
  await db.$executeRaw`UPDATE jobs SET leased_at = now() - interval '50 s' WHERE id = 'job_1'`;
  await db.$executeRaw`UPDATE rollouts SET state = 'adapting', awaiting_approval = TRUE WHERE id = ${id}`;
  // Of the two, only a newer version knows the older one.
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

test('what cannot be read has no value, and the answer does not wait for it', async () => {
  const unreachable = createDatabase('postgresql://nobody@127.0.0.1:1/none');
  const countByState = () => new Promise<never>(() => undefined);
  const artifacts = async () => Promise.reject(new Error('full'));
  const started = performance.now();
  const samples = await samplesOf(
    registryWith({ db: unreachable, producer: { countByState }, checks: { artifacts_write: artifacts } }),
  );
  expect(performance.now() - started).toBeLessThan(6000);
  expect(samples).toEqual({
    'readapt_readiness_check{check="database"}': 0,
    'readapt_readiness_check{check="artifacts_write"}': 0,
  });
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
  await db.$transaction(async (tx) => {
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

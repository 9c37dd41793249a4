import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { loadConfig, type Config } from '../../../src/platform/config/config.ts';
import { withTransaction, type Database } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { createJobLifecycle } from '../../../src/fleet/job-control/job-lifecycle.ts';
import { cancelJobs } from '../../../src/fleet/jobs/index.ts';
import { createRollout, createRolloutLifecycle } from '../../../src/fleet/rollouts/index.ts';
import { createQuotaService } from '../../../src/tenants/quotas/quota.service.ts';
import { unrecorded } from '../../../src/platform/contract/record-answer.ts';
import { startWorker } from '../../../workers/start/start-worker.ts';
import { createTrainingProcess } from '../../../workers/training/training-process.ts';
import type { Fleet } from '../queue/fleet.ts';
import { planEntries } from '../queue/plan-entries.ts';
import { useQueueWithFleets } from '../queue/queue-with-fleets.ts';
import { eventually } from '../../eventually.ts';
import { logger, type TestQueue } from '../queue/test-queue.ts';

const world = useQueueWithFleets();
let queue: TestQueue;
let db: Database;
beforeAll(() => {
  ({ queue } = world);
  ({ db } = queue.database);
});

function fleetOf(tenants: number, adapters: number): Promise<Fleet> {
  return world.fleetOf({ tenants, adapters });
}

const config = (env: Record<string, string> = {}): Config =>
  loadConfig({
    DATABASE_URL: queue.database.url,
    READAPT_DATA_DIR: world.fleets[0] && path.join(world.fleets[0].folder, 'data'),
    ...env,
  });

const service = () =>
  createQuotaService({ db, defaults: config().quotas, requestsPerMinute: config().rateLimitPerMinute });
const quotaOf = async (tenantId: string, name: string) =>
  (await service().get(tenantId, null)).quotas.find((quota) => quota.name === name)!;

/** Accepts a rollout to the new version of a fleet, and plans its jobs without an analysis. */
async function plan(fleet: Fleet, env: Record<string, string> = {}, options: { control?: 'sample' } = {}) {
  const { rollout } = await withTransaction(db, (tx) =>
    createRollout(tx, { baseModelVersionId: fleet.newVersionId, options: { ...options, control_fraction: 1 } }),
  );
  const lifecycle = createRolloutLifecycle({ db, quotas: config(env).quotas });
  const row = await lifecycle.beginAnalysis(rollout.id);
  const stored = row!.options as Parameters<typeof lifecycle.plan>[0]['options'];
  const request = { id: rollout.id, baseModelVersionId: fleet.newVersionId, options: stored };
  return { id: rollout.id, entries: await planEntries(lifecycle, request) };
}

const jobsOf = (rolloutId: string) => db.job.findMany({ where: { rolloutId }, orderBy: { id: 'asc' } });

test('jobs beyond the limit of a tenant are refused, and those of others are not', async () => {
  const fleet = await fleetOf(2, 6);
  const [limited, other] = fleet.tenants as [string, string];
  await service().set(limited, { queued_jobs: 2 }, unrecorded);
  const { id, entries } = await plan(fleet);
  const jobs = await jobsOf(id);
  const statesOf = (tenantId: string) => jobs.filter((job) => job.tenantId === tenantId).map(({ state }) => state);
  expect(statesOf(limited)).toEqual(['queued', 'queued', 'failed']);
  expect(statesOf(other)).toEqual(['queued', 'queued', 'queued']);
  expect(entries).toHaveLength(5);
  const refused = jobs.find(({ state }) => state === 'failed')!;
  expect(refused.error).toMatchObject({
    code: 'quota_exceeded',
    quota: 'queued_jobs',
    limit: 2,
    used: 0,
    setting: null,
  });
  expect(await quotaOf(limited, 'queued_jobs')).toMatchObject({ limit: 2, used: 2 });
});

test('controls are left out first, and the default limit holds for all', async () => {
  const fleet = await fleetOf(1, 3);
  const { id } = await plan(fleet, { READAPT_QUOTA_QUEUED_JOBS: '4' }, { control: 'sample' });
  const jobs = await jobsOf(id);
  const count = (kind: string, state: string) => jobs.filter((job) => job.kind === kind && job.state === state).length;
  expect([count('adaptation', 'queued'), count('control', 'queued'), count('control', 'failed')]).toEqual([3, 1, 2]);
  expect(jobs.at(-1)!.error).toMatchObject({ setting: 'READAPT_QUOTA_QUEUED_JOBS' });
});

test('rollouts that are planned at the same time do not exceed the limit together', async () => {
  const [first, second] = [await fleetOf(1, 3), await fleetOf(1, 3)];
  const [tenantId, from] = [first.tenants[0]!, second.tenants[0]!];
  await db.$executeRaw`UPDATE datasets SET tenant_id = ${tenantId}, name = 'second' WHERE tenant_id = ${from}`;
  await db.$executeRaw`UPDATE adapters SET tenant_id = ${tenantId}, name = 'second-' || name WHERE tenant_id = ${from}`;
  await db.$executeRaw`UPDATE adapter_versions SET tenant_id = ${tenantId} WHERE tenant_id = ${from}`;
  await service().set(tenantId, { queued_jobs: 4 }, unrecorded);
  const planned = await Promise.all([plan(first), plan(second)]);
  const states = (await Promise.all(planned.map(({ id }) => jobsOf(id)))).flat().map(({ state }) => state);
  expect(states.filter((state) => state === 'queued')).toHaveLength(4);
  expect(states.filter((state) => state === 'failed')).toHaveLength(2);
});

test('device seconds count from the claim until the lease is gone, however it goes', async () => {
  const fleet = await fleetOf(1, 4);
  const tenantId = fleet.tenants[0]!;
  const { entries } = await plan(fleet);
  const lifecycle = createJobLifecycle({ db });
  const began = performance.now();
  const [released, cancelled, lost, running] = entries!.map(({ id }) => ({ jobId: id, owner: newId('job') }));
  for (const lease of [released!, cancelled!, lost!, running!]) {
    expect(await lifecycle.claim(lease)).not.toBeNull();
    await db.$executeRaw`UPDATE jobs SET leased_at = leased_at - interval '100 seconds' WHERE id = ${lease.jobId}`;
  }
  expect((await quotaOf(tenantId, 'device_seconds')).used).toBeGreaterThanOrEqual(400);
  await lifecycle.release(released!, null);
  await withTransaction(db, (tx) => cancelJobs(tx, { jobId: cancelled!.jobId }));
  // The worker has died; its last sign of life was 70 s after the claim.
  await db.$executeRaw`UPDATE jobs SET lease_expires_at = leased_at + interval '70 seconds' WHERE id = ${lost!.jobId}`;
  expect(await lifecycle.claim({ ...lost!, owner: newId('job') })).not.toBeNull();
  const uses = await db.deviceUse.findMany({ where: { tenantId }, orderBy: { id: 'asc' } });
  const seconds = uses.map(({ startedAt, endedAt }) => (endedAt.getTime() - startedAt.getTime()) / 1000);
  const { used, resets_at: resetsAt } = await quotaOf(tenantId, 'device_seconds');
  // The leases continued while the statements above ran.
  const passed = (performance.now() - began) / 1000;
  expect(seconds).toHaveLength(3);
  for (const held of seconds.slice(0, 2)) {
    expect(held).toBeGreaterThanOrEqual(100);
    expect(held).toBeLessThanOrEqual(100 + passed);
  }
  expect(seconds[2]).toBe(70);
  expect(used).toBeGreaterThanOrEqual(370);
  expect(used).toBeLessThanOrEqual(Math.ceil(370 + 4 * passed));
  const now = new Date();
  const nextMonth = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1));
  expect(resetsAt).toBe(nextMonth.toISOString());
});

test('what was used in the last month does not count', async () => {
  const fleet = await fleetOf(1, 1);
  const tenantId = fleet.tenants[0]!;
  await db.$executeRaw`
    INSERT INTO device_uses (tenant_id, job_id, started_at, ended_at)
    SELECT ${tenantId}, 'job', began - interval '1 hour', began + interval '30 seconds' FROM (
      SELECT date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS began) AS month`;
  expect((await quotaOf(tenantId, 'device_seconds')).used).toBe(30);
  await service().set(tenantId, { device_seconds: 30 }, unrecorded);
  const { id } = await plan(fleet);
  const [job] = await jobsOf(id);
  expect(job!.error).toMatchObject({ code: 'quota_exceeded', quota: 'device_seconds', limit: 30, used: 30 });
  expect(job!.error).toHaveProperty('resets_at', (await quotaOf(tenantId, 'device_seconds')).resets_at);
});

test('a job whose tenant has no device seconds left does not begin, and one that has begun is finished', async () => {
  const fleet = await fleetOf(1, 2);
  const tenantId = fleet.tenants[0]!;
  await fleet.behave({ publications: 1 });
  const { id, entries } = await plan(fleet);
  const begun = entries![0]!.id;
  await db.$executeRaw`UPDATE jobs SET attempt = 1 WHERE id = ${begun}`;
  await service().set(tenantId, { device_seconds: 0 }, unrecorded);
  const entry = fileURLToPath(new URL('../jobs/scripted-training.ts', import.meta.url));
  const training = createTrainingProcess({ logger, entry, cancelGraceMs: 2000 });
  const { backend, producer } = queue;
  await producer.enqueue(entries!);
  const worker = await startWorker(config(), { db, artifacts: fleet.artifacts, backend, producer, training, logger });
  try {
    const jobs = await eventually('the jobs have ended', async () => {
      const found = await jobsOf(id);
      return found.every(({ finishedAt }) => finishedAt !== null) && found;
    });
    expect(jobs.find((job) => job.id === begun)!.state).toBe('ready');
    const refused = jobs.find((job) => job.id !== begun)!;
    expect(refused.state).toBe('failed');
    expect(refused.error).toMatchObject({ code: 'quota_exceeded', message: expect.stringContaining('may have 0') });
  } finally {
    await worker.stop();
    await training.stop();
  }
});

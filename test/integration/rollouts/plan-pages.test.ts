import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { compiledModule } from '../../compiled/index.ts';
import { NO_QUOTAS } from '../../../src/platform/config/quotas.ts';
import { createSweeper, type QueueEntry } from '../../../src/platform/queue/index.ts';
import { withTransaction, type Database } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { cancelJobs } from '../../../src/fleet/jobs/index.ts';
import { createJobLifecycle } from '../../../src/fleet/job-control/job-lifecycle.ts';
import { jobRecoverySource } from '../../../src/fleet/rollouts/order/job-recovery.ts';
import { settleRollout } from '../../../src/fleet/rollouts/settlement.ts';
import {
  createRollout,
  createRolloutLifecycle,
  createRolloutService,
  rolloutRecoverySource,
  type RolloutOptions,
  type StoredOptions,
} from '../../../src/fleet/rollouts/index.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestQueue, logger, type TestQueue } from '../queue/test-queue.ts';

const CHILD = fileURLToPath(new URL('./plan-child.ts', import.meta.url));

let queue: TestQueue;
let db: Database;
const fleets: Fleet[] = [];

beforeAll(async () => {
  queue = await createTestQueue();
  db = queue.database.db;
});
afterEach(async () => {
  for (const fleet of fleets.splice(0)) await fleet.remove();
  await db.rollout.deleteMany();
  await queue.clear();
});
afterAll(() => queue.close());

async function accept(size: { tenants: number; adapters: number }, options: RolloutOptions = {}) {
  const fleet = await createFleet(db, size);
  fleets.push(fleet);
  const baseModelVersionId = fleet.newVersionId;
  const { rollout } = await withTransaction(db, (tx) => createRollout(tx, { baseModelVersionId, options }));
  return { fleet, id: rollout.id };
}

/** Starts the analysis and plans like a worker; `onPlanned` is called with each page of ten. */
async function plan(id: string, onPlanned: (entries: readonly QueueEntry[]) => Promise<void>, quotas = NO_QUOTAS) {
  const lifecycle = createRolloutLifecycle({ db, quotas, pageSize: 10 });
  const { baseModelVersionId, options } = (await lifecycle.beginAnalysis(id))!;
  return lifecycle.plan({ id, baseModelVersionId, options: options as StoredOptions }, new Map(), onPlanned);
}

const enqueue = (entries: readonly QueueEntry[]) => queue.producer.enqueueAfterCommit(entries);
const show = (id: string) => createRolloutService({ db, producer: queue.producer }).get(id, null);
const sweep = () => {
  const sources = [rolloutRecoverySource(db), jobRecoverySource(db)];
  return createSweeper({ db, producer: queue.producer, sources, logger, graceMs: 0 }).sweep();
};

test.each([1, 2])('a planning whose process is killed after %d pages goes on', async (survived) => {
  const seed = 7;
  const { fleet, id } = await accept({ tenants: 3, adapters: 16 }, { control: 'sample', control_fraction: 0.75, seed });
  const child = fork(compiledModule(CHILD), [queue.database.url, id, String(survived)], { execArgv: [] });
  expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
  const half = await show(id);
  expect(half).toMatchObject({ state: 'analyzing', planned_at: null });
  const planned = half.summary.adapters + half.summary.controls;
  expect(planned).toBeGreaterThan(0);
  expect(planned).toBeLessThan(28);

  expect(await plan(id, enqueue)).toBe(28);
  expect(await show(id)).toMatchObject({ state: 'adapting', jobs: { queued: 16 }, controls: { queued: 12 } });
  const jobs = await db.job.findMany({ where: { rolloutId: id }, orderBy: { id: 'asc' } });
  const adaptersOf = (kind: string) => jobs.filter((job) => job.kind === kind).map((job) => job.adapterId);
  expect(adaptersOf('adaptation').sort()).toEqual([...fleet.adapters].sort());
  expect(adaptersOf('control').sort()).toEqual(sampleOf(fleet.adapters, seed, 12).sort());
  expect(jobs.slice(16).every((job) => job.kind === 'control')).toBe(true);
  expect(await db.event.count({ where: { type: 'job.queued', subjectId: { in: jobs.map((job) => job.id) } } })).toBe(
    28,
  );
  // The sweeper enqueues the entries that the dead process left in the outbox, and the rollout's own entry.
  await sweep();
  expect(await queue.producer.count('adaptations')).toBe(28);
  expect(await sweep()).toBe(0);
});

/** Adapters with the smallest hashes of seed and identifier. */
function sampleOf(adapterIds: readonly string[], seed: number, count: number): string[] {
  const rank = (id: string): string => createHash('sha256').update(`${seed}:${id}`).digest('hex');
  return [...adapterIds].sort((a, b) => (rank(a) < rank(b) ? -1 : 1)).slice(0, count);
}

const ENDS_WHILE_PLANNED =
  'jobs may end while others are planned, and the rollout is complete when all are planned and have ended';
test(ENDS_WHILE_PLANNED, async () => {
  const { id } = await accept({ tenants: 1, adapters: 11 });
  const states: string[] = [];
  const endAll = (entries: readonly QueueEntry[]) =>
    withTransaction(db, async (tx) => {
      await tx.$queryRaw`SELECT id FROM rollouts WHERE id = ${id} FOR NO KEY UPDATE`;
      await cancelJobs(tx, { jobIds: entries.map((entry) => entry.id) });
      await settleRollout(tx, id);
    });
  expect(
    await plan(id, async (entries) => {
      await endAll(entries);
      states.push((await show(id)).state);
    }),
  ).toBe(11);
  expect(new Set(states)).toEqual(new Set(['analyzing']));
  expect(await show(id)).toMatchObject({ state: 'completed', jobs: { cancelled: 11 } });
});

test('a rollout that is cancelled while it is planned gets no further jobs', async () => {
  const { id } = await accept({ tenants: 1, adapters: 24 });
  const planned = await plan(id, async (entries) => {
    if (entries.length > 0) await createRolloutService({ db, producer: queue.producer }).cancel(id);
  });
  expect(planned).toBeNull();
  const { state, finished_at: finishedAt, jobs } = await show(id);
  expect([state, finishedAt === null, Object.keys(jobs)]).toEqual(['cancelled', false, ['cancelled']]);
  expect(jobs.cancelled).toBeLessThan(24);
});

describe('a rollout that fails while it is planned', () => {
  test('cancels the jobs that it has', async () => {
    const { id } = await accept({ tenants: 1, adapters: 15 });
    await expect(plan(id, failAfterFirst)).rejects.toThrow('the queue is gone');
    const waiting = await db.job.findFirstOrThrow({ where: { rolloutId: id } });
    expect(await createRolloutLifecycle({ db }).fail(id, { code: 'failed', message: 'no' })).toBe(true);
    const failed = await show(id);
    expect(failed).toMatchObject({
      state: 'failed',
      error: { code: 'failed' },
      jobs: { cancelled: expect.any(Number) },
    });
    expect(Object.keys(failed.jobs)).toEqual(['cancelled']);
    expect(failed.finished_at).not.toBeNull();
    expect(await createJobLifecycle({ db }).claim({ jobId: waiting.id, owner: newId('job') })).toBeNull();
  });

  test('where its process dies before that, nobody claims them, and the sweeper goes on', async () => {
    const { fleet, id } = await accept({ tenants: 1, adapters: 15 });
    await expect(plan(id, failAfterFirst)).rejects.toThrow('the queue is gone');
    // Imitates a process that dies after the first transaction.
    await db.rollout.update({ where: { id }, data: { state: 'failed' } });
    const waiting = await db.job.findFirstOrThrow({ where: { rolloutId: id } });
    expect(await createJobLifecycle({ db }).claim({ jobId: waiting.id, owner: newId('job') })).toBeNull();
    const again = { baseModelVersionId: fleet.newVersionId, options: {} };
    await expect(withTransaction(db, (tx) => createRollout(tx, again))).rejects.toMatchObject({
      code: 'rollout_exists',
    });
    await sweep();
    const failed = await show(id);
    expect([failed.state, Object.keys(failed.jobs)]).toEqual(['failed', ['cancelled']]);
    expect(failed.finished_at).not.toBeNull();
    await withTransaction(db, (tx) => createRollout(tx, again));
  });
});

function failAfterFirst(entries: readonly QueueEntry[]): Promise<void> {
  return entries.length > 0 ? Promise.reject(new Error('the queue is gone')) : Promise.resolve();
}

test('the limit of a tenant holds over all pages', async () => {
  const { id } = await accept({ tenants: 1, adapters: 24 }, { control: 'all' });
  const quotas = { ...NO_QUOTAS, queued_jobs: 13 };
  expect(await plan(id, enqueue, quotas)).toBe(37);
  expect(await show(id)).toMatchObject({ jobs: { queued: 13, failed: 11 }, controls: { failed: 13 } });
});

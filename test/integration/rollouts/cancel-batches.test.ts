import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createSweeper } from '../../../src/platform/queue/index.ts';
import { withTransaction, type Database } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { createJobLifecycle } from '../../../src/fleet/job-control/job-lifecycle.ts';
import { jobRecoverySource } from '../../../src/fleet/rollouts/order/job-recovery.ts';
import {
  createRollout,
  createRolloutLifecycle,
  createRolloutService,
  rolloutRecoverySource,
  type StoredOptions,
} from '../../../src/fleet/rollouts/index.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestQueue, logger, type TestQueue } from '../queue/test-queue.ts';

/** Number of jobs that are cancelled at a time. */
const BATCH = 10;
const JOBS = 25;

let queue: TestQueue;
let db: Database;
let fleet: Fleet;
let rolloutId: string;

beforeAll(async () => {
  queue = await createTestQueue();
  db = queue.database.db;
});
beforeEach(async () => {
  fleet = await createFleet(db, { tenants: 2, adapters: JOBS });
  const baseModelVersionId = fleet.newVersionId;
  const { rollout } = await withTransaction(db, (tx) => createRollout(tx, { baseModelVersionId, options: {} }));
  rolloutId = rollout.id;
  const lifecycle = createRolloutLifecycle({ db });
  const { options } = (await lifecycle.beginAnalysis(rolloutId))!;
  await lifecycle.plan({ id: rolloutId, baseModelVersionId, options: options as StoredOptions }, new Map());
});
afterEach(() => fleet.remove());
afterAll(() => queue.close());

const cancelled = () => db.job.count({ where: { rolloutId, state: 'cancelled' } });

test('a large fleet is cancelled in steps, which others see', async () => {
  const seen: number[] = [];
  // The jobs of a batch leave the queue after its commit, and during the next batch at most.
  const remove: TestQueue['producer']['remove'] = async (...jobs) => {
    seen.push(await cancelled());
    await queue.producer.remove(...jobs);
  };
  const service = createRolloutService({ db, producer: { ...queue.producer, remove }, batchSize: BATCH });
  expect(await service.cancel(rolloutId)).toMatchObject({ state: 'cancelled', jobs: { cancelled: JOBS } });
  expect(seen.some((count) => count > 0 && count < JOBS)).toBe(true);
  expect(
    await db.event.count({ where: { type: 'job.cancelled', data: { path: ['rollout_id'], equals: rolloutId } } }),
  ).toBe(JOBS);
});

test('where a cancellation was interrupted, nobody claims its jobs, and the sweeper goes on', async () => {
  // Imitates a process that dies after the first batch.
  const dying = { ...queue.producer, remove: (name: string) => (name === 'rollouts' ? Promise.resolve() : die()) };
  await expect(createRolloutService({ db, producer: dying, batchSize: BATCH }).cancel(rolloutId)).rejects.toThrow(
    'died',
  );
  const service = createRolloutService({ db, producer: queue.producer });
  const half = await service.get(rolloutId, null);
  expect(half).toMatchObject({ state: 'cancelled', finished_at: null });
  expect(half.jobs.queued).toBeGreaterThan(0);
  await expect(
    withTransaction(db, (tx) => createRollout(tx, { baseModelVersionId: fleet.newVersionId, options: {} })),
  ).rejects.toMatchObject({ code: 'rollout_exists' });
  const waiting = await db.job.findFirstOrThrow({ where: { rolloutId, state: 'queued' } });
  expect(await createJobLifecycle({ db }).claim({ jobId: waiting.id, owner: newId('job') })).toBeNull();
  const sources = [rolloutRecoverySource(db), jobRecoverySource(db)];
  await createSweeper({ db, producer: queue.producer, sources, logger }).sweep();
  const after = await service.get(rolloutId, null);
  expect(after).toMatchObject({ state: 'cancelled', jobs: { cancelled: JOBS } });
  expect(after.finished_at).not.toBeNull();
});

function die(): Promise<never> {
  return Promise.reject(new Error('the process died'));
}

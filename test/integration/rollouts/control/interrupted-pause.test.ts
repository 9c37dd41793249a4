import { expect, test } from 'vitest';
import { withTransaction } from '../../../../src/platform/database/database.ts';
import type { QueueProducer } from '../../../../src/platform/queue/index.ts';
import { newId } from '../../../../src/platform/contract/ids.ts';
import { createJobLifecycle } from '../../../../src/fleet/job-control/job-lifecycle.ts';
import {
  createRollout,
  createRolloutLifecycle,
  createRolloutService,
  type StoredOptions,
} from '../../../../src/fleet/rollouts/index.ts';
import { useControlledFleets } from './controlled-fleet.ts';

/** Number of jobs that are paused, resumed or cancelled at a time. */
const BATCH = 10;
const THREE_BATCHES = 25;
const TWO_BATCHES = 11;
const world = useControlledFleets();

/** Creates the service that pauses, resumes and cancels in small batches. */
const inBatches = (producer: Partial<QueueProducer> = {}) =>
  createRolloutService({ db: world.db, producer: { ...world.queue.producer, ...producer }, batchSize: BATCH });

const die = (): Promise<never> => Promise.reject(new Error('the process died'));

/** Plans a rollout with a number of jobs, without a worker. */
async function planned(adapters: number): Promise<string> {
  const { db } = world;
  const { newVersionId: baseModelVersionId } = await world.fleetOf({ tenants: 2, adapters });
  const { rollout } = await withTransaction(db, (tx) => createRollout(tx, { baseModelVersionId, options: {} }));
  const lifecycle = createRolloutLifecycle({ db });
  const { options } = (await lifecycle.beginAnalysis(rollout.id))!;
  const request = { id: rollout.id, baseModelVersionId, options: options as StoredOptions };
  await lifecycle.plan(request, new Map(), (entries) => world.queue.producer.enqueueAfterCommit(entries));
  return rollout.id;
}

const DEATH_WHILE_PAUSING =
  'a process that dies in the middle of a pause or a resumption: nothing starts, and the sweeper goes on';
test(DEATH_WHILE_PAUSING, async () => {
  const { db, queue } = world;
  const id = await planned(THREE_BATCHES);
  // The process dies after the first batch has committed.
  const whilePausing = inBatches({ remove: (name) => (name === 'rollouts' ? Promise.resolve() : die()) });
  await expect(whilePausing.pause(id)).rejects.toThrow('died');
  expect(await world.rollouts.get(id, null)).toMatchObject({ state: 'paused', jobs: { paused: 10, queued: 15 } });
  const waiting = await db.job.findFirstOrThrow({ where: { rolloutId: id, state: 'queued' } });
  expect(await createJobLifecycle({ db }).claim({ jobId: waiting.id, owner: newId('job') })).toBeNull();
  await world.sweep();
  expect(await world.rollouts.get(id, null)).toMatchObject({ state: 'paused', jobs: { paused: THREE_BATCHES } });
  expect(await db.event.count({ where: { type: 'job.paused' } })).toBe(THREE_BATCHES);

  const whileResuming = inBatches({
    enqueueAfterCommit: (entries) => (entries.length > 0 ? die() : Promise.resolve()),
  });
  await expect(whileResuming.resume(id)).rejects.toThrow('died');
  expect(await world.rollouts.get(id, null)).toMatchObject({ state: 'adapting', jobs: { paused: 15, queued: 10 } });
  await world.sweep();
  expect(await world.rollouts.get(id, null)).toMatchObject({ state: 'adapting', jobs: { queued: THREE_BATCHES } });
  await world.sweep();
  expect(await queue.producer.count('adaptations')).toBe(THREE_BATCHES);
});

test('a pause that overtakes a resumption wins', async () => {
  const id = await planned(TWO_BATCHES);
  await inBatches().pause(id);
  const overtaken = inBatches({
    // The operator pauses again when the first batch is resumed.
    enqueueAfterCommit: async (entries) => void (entries.length > 0 && (await inBatches().pause(id))),
  });
  await overtaken.resume(id);
  expect(await world.rollouts.get(id, null)).toMatchObject({ state: 'paused', jobs: { paused: TWO_BATCHES } });
});

test('of a pause and a cancellation at once, the rollout is cancelled, and no job is left paused', async () => {
  const id = await planned(TWO_BATCHES);
  await Promise.allSettled([inBatches().cancel(id), inBatches().pause(id)]);
  const rollout = await world.rollouts.get(id, null);
  expect(rollout).toMatchObject({ state: 'cancelled', jobs: { cancelled: TWO_BATCHES } });
  expect(rollout.finished_at).not.toBeNull();
});

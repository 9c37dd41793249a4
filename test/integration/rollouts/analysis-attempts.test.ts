import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { TryLaterError } from '../../../src/platform/queue/index.ts';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { createRollout, createRolloutLifecycle, createRolloutService } from '../../../src/fleet/rollouts/index.ts';
import { rolloutHandlers } from '../../../workers/rollouts/rollout.handler.ts';
import { createTrainingProcess, type TrainingProcess } from '../../../workers/training/training-process.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestQueue, logger, type TestQueue } from '../queue/test-queue.ts';

const ENTRY = fileURLToPath(new URL('../jobs/scripted-training.ts', import.meta.url));

let queue: TestQueue;
let training: TrainingProcess;
let fleet: Fleet;
let rolloutId: string;

beforeAll(async () => {
  queue = await createTestQueue();
  training = createTrainingProcess({ logger, entry: ENTRY });
});
beforeEach(async () => {
  const { db } = queue.database;
  fleet = await createFleet(db, { tenants: 1, adapters: 1 });
  const { rollout } = await withTransaction(db, (tx) =>
    createRollout(tx, { baseModelVersionId: fleet.newVersionId, options: {} }),
  );
  rolloutId = rollout.id;
});
afterEach(() => fleet.remove());
afterAll(async () => {
  await training.stop();
  await queue.close();
});

const show = () => createRolloutService({ db: queue.database.db, producer: queue.producer }).get(rolloutId, null);

/** Runs the analysis with a device that calls `atDescribe` before it describes a base. */
function analyze(signal: AbortSignal, atDescribe: () => void = () => undefined): Promise<void> {
  const { db } = queue.database;
  const device: TrainingProcess = {
    ...training,
    acquire: async (abort) => {
      const slot = await training.acquire(abort);
      return { ...slot, describe: (spec, stop) => (atDescribe(), slot.describe(spec, stop)) };
    },
  };
  const handlers = rolloutHandlers({ db, artifacts: fleet.artifacts, producer: queue.producer, training: device });
  return handlers['rollout.plan']!({ rolloutId }, { signal, lastAttempt: false, logger });
}

test('an analysis that took its worker down five times fails the rollout and says so', async () => {
  const lifecycle = createRolloutLifecycle({ db: queue.database.db });
  // A worker that dies leaves only the start of its attempt.
  for (let times = 0; times < 5; times++) await lifecycle.beginAnalysis(rolloutId);
  await expect(analyze(new AbortController().signal)).rejects.toThrow('was begun 5 times and never ended');
  expect(await show()).toMatchObject({ state: 'failed', error: { code: 'too_many_attempts' } });
});

test('four deaths do not', async () => {
  const lifecycle = createRolloutLifecycle({ db: queue.database.db });
  for (let times = 0; times < 4; times++) await lifecycle.beginAnalysis(rolloutId);
  await analyze(new AbortController().signal);
  expect(await show()).toMatchObject({ state: 'adapting', error: null });
});

test('a worker that stops does not count, however often', async () => {
  for (let times = 0; times < 7; times++) {
    const controller = new AbortController();
    const stopped = analyze(controller.signal, () => controller.abort(new Error('the worker is stopping')));
    await expect(stopped).rejects.toThrow(TryLaterError);
  }
  await analyze(new AbortController().signal);
  expect(await show()).toMatchObject({ state: 'adapting', error: null });
});

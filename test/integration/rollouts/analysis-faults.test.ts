import { afterAll, beforeAll, expect, test } from 'vitest';
import { TryLaterError } from '../../../src/platform/queue/index.ts';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { createRollout, createRolloutService } from '../../../src/fleet/rollouts/index.ts';
import type { TrainingProcess } from '../../../workers/training/training-process.ts';
import { rolloutHandlers } from '../../../workers/rollouts/rollout.handler.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestQueue, logger, type TestQueue } from '../queue/test-queue.ts';

let queue: TestQueue;
let fleet: Fleet;

beforeAll(async () => {
  queue = await createTestQueue();
  fleet = await createFleet(queue.database.db, { tenants: 1, adapters: 1 });
});
afterAll(async () => {
  await fleet.remove();
  await queue.close();
});

/** Device that never answers its first request, so that only the handler's signal ends it. */
function silentDevice(abort: () => void): TrainingProcess {
  const interrupted = (): Promise<never> => {
    abort();
    return Promise.reject(new Error('the request was cancelled'));
  };
  const session = {
    adapt: interrupted,
    baselines: interrupted,
    outcomes: interrupted,
    provisional: interrupted,
    evolve: interrupted,
    describe: interrupted,
    preload: () => undefined,
    release: () => undefined,
  };
  return { acquire: () => Promise.resolve(session), pid: undefined, stop: () => Promise.resolve() };
}

/** Runs the analysis while its signal aborts with `reason`. @returns the handler's error and the rollout afterwards */
async function analyze(reason: Error, lastAttempt: boolean) {
  const { db } = queue.database;
  const { rollout } = await withTransaction(db, (tx) =>
    createRollout(tx, { baseModelVersionId: fleet.newVersionId, options: {} }),
  );
  const controller = new AbortController();
  const training = silentDevice(() => controller.abort(reason));
  const handlers = rolloutHandlers({ db, artifacts: fleet.artifacts, producer: queue.producer, training });
  const context = { signal: controller.signal, lastAttempt, logger };
  const thrown: unknown = await handlers['rollout.plan']!({ rolloutId: rollout.id }, context).catch(
    (error: unknown) => error,
  );
  const after = await createRolloutService({ db, producer: queue.producer }).get(rollout.id, null);
  await db.rollout.delete({ where: { id: rollout.id } });
  return { thrown, after };
}

const timeout = new DOMException('took too long', 'TimeoutError');

test('a worker that stops puts the analysis off, even at the last try', async () => {
  const { thrown, after } = await analyze(new Error('the worker is stopping'), true);
  expect(thrown).toBeInstanceOf(TryLaterError);
  expect(after).toMatchObject({ state: 'analyzing', error: null });
});

test('an analysis that takes too long uses up a try', async () => {
  const { thrown, after } = await analyze(timeout, false);
  expect(thrown).toBe(timeout);
  expect(after.state).toBe('analyzing');
});

test('an analysis that takes too long at the last try fails the rollout', async () => {
  const { after } = await analyze(timeout, true);
  expect(after).toMatchObject({ state: 'failed', error: { code: 'timed_out' } });
});

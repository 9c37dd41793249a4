import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { createRollout, createRolloutService } from '../../../src/fleet/rollouts/index.ts';
import { rolloutHandlers } from '../../../workers/rollouts/rollout.handler.ts';
import {
  createTrainingProcess,
  type TrainingProcess,
  type TrainingSlot,
} from '../../../workers/training/training-process.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestQueue, logger, type TestQueue } from '../queue/test-queue.ts';

const ENTRY = fileURLToPath(new URL('../jobs/scripted-training.ts', import.meta.url));

let queue: TestQueue;
let fleet: Fleet;
let training: TrainingProcess;

beforeAll(async () => {
  queue = await createTestQueue();
  fleet = await createFleet(queue.database.db, { tenants: 1, adapters: 1 });
  training = createTrainingProcess({ logger, entry: ENTRY });
});
afterAll(async () => {
  await training.stop();
  await fleet.remove();
  await queue.close();
});

/** Device that records its requests in `asked`. */
function watched(asked: string[]): TrainingProcess {
  const acquire: TrainingProcess['acquire'] = async (signal) => {
    const slot = await training.acquire(signal);
    const noted: TrainingSlot = {
      ...slot,
      describe: (spec, abort) => (asked.push('describe'), slot.describe(spec, abort)),
      evolve: (spec, abort) => (asked.push('evolve'), slot.evolve(spec, abort)),
      preload: (bases) => (asked.push(`preload ${bases.join()}`), slot.preload(bases)),
    };
    return noted;
  };
  return { acquire, pid: undefined, stop: () => Promise.resolve() };
}

test('the training process begins to load both bases before the first job is planned', async () => {
  const { db } = queue.database;
  const { rollout } = await withTransaction(db, (tx) =>
    createRollout(tx, { baseModelVersionId: fleet.newVersionId, options: {} }),
  );
  const asked: string[] = [];
  const handlers = rolloutHandlers({
    db,
    artifacts: fleet.artifacts,
    producer: queue.producer,
    training: watched(asked),
  });
  const context = { signal: new AbortController().signal, lastAttempt: true, logger };
  await handlers['rollout.plan']!({ rolloutId: rollout.id }, context);
  const [fresh, old] = await Promise.all(
    [fleet.newVersionId, fleet.oldVersionId].map((id) => db.baseModelVersion.findUniqueOrThrow({ where: { id } })),
  );
  expect(asked).toEqual(['describe', 'describe', 'evolve', `preload ${fresh!.path},${old!.path}`]);
  const after = await createRolloutService({ db, producer: queue.producer }).get(rollout.id, null);
  expect(after.state).not.toBe('failed');
});

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadConfig } from '../../../src/platform/config/config.ts';
import { createQueueBackend } from '../../../src/platform/queue/index.ts';
import { createRolloutService } from '../../../src/fleet/rollouts/index.ts';
import { startWorker, type RunningWorker } from '../../../workers/start/start-worker.ts';
import { createTrainingProcess, type TrainingProcess } from '../../../workers/training/training-process.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { eventually } from '../../eventually.ts';
import { createTestQueue, logger, type TestQueue } from '../queue/test-queue.ts';

const ENTRY = fileURLToPath(new URL('../jobs/scripted-training.ts', import.meta.url));
/** Database roles that only the worker uses: one for its own queries, one for its queue. */
const [ROLE, QUEUE_ROLE] = [`worker_${process.pid}`, `queue_${process.pid}`];

let queue: TestQueue;
let fleet: Fleet;
let training: TrainingProcess;
let worker: RunningWorker;

beforeAll(async () => {
  queue = await createTestQueue();
  fleet = await createFleet(queue.database.db, { tenants: 2, adapters: 6 });
  for (const role of [ROLE, QUEUE_ROLE]) {
    await queue.database.db.$executeRawUnsafe(`CREATE ROLE ${role} LOGIN SUPERUSER PASSWORD 'secret'`);
  }
  training = createTrainingProcess({ logger, entry: ENTRY });
  const config = loadConfig({ READAPT_DATA_DIR: path.join(fleet.folder, 'data'), DATABASE_URL: urlOf(ROLE) });
  const backend = createQueueBackend({ databaseUrl: urlOf(QUEUE_ROLE), redisUrl: null });
  worker = await startWorker(config, { artifacts: fleet.artifacts, backend, training, logger }, { sweepMs: 100 });
});
afterAll(async () => {
  await worker.stop();
  await training.stop();
  for (const role of [ROLE, QUEUE_ROLE]) {
    await queue.database.db.$executeRawUnsafe(`DROP OWNED BY ${role}`);
    await queue.database.db.$executeRawUnsafe(`DROP ROLE ${role}`);
  }
  await fleet.remove();
  await queue.close();
});

function urlOf(role: string): string {
  const url = new URL(queue.database.url);
  url.username = role;
  url.password = 'secret';
  return url.toString();
}

test('a worker carries a fleet over on one connection, and on six for its queue in PostgreSQL', async () => {
  const { db } = queue.database;
  const rollouts = createRolloutService({ db, producer: queue.producer });
  const { id } = await rollouts.create({ base_model_version_id: fleet.newVersionId, options: { control: 'all' } });
  let [most, mostOfQueue] = [0, 0];
  await eventually('the rollout is completed', async () => {
    const [row] = await db.$queryRaw<{ own: number; queue: number }[]>`
        SELECT count(*) FILTER (WHERE usename = ${ROLE})::int AS own,
          count(*) FILTER (WHERE usename = ${QUEUE_ROLE})::int AS queue
        FROM pg_stat_activity`;
    most = Math.max(most, row!.own);
    mostOfQueue = Math.max(mostOfQueue, row!.queue);
    return (await rollouts.get(id, null)).state === 'completed';
  });
  expect(most).toBe(1);
  expect(mostOfQueue).toBeGreaterThan(0);
  expect(mostOfQueue).toBeLessThanOrEqual(6);
  expect((await rollouts.get(id, null)).summary).toMatchObject({ adapters: 6, ready: 6, controls: 6 });
});

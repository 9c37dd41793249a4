import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/config.ts';
import { createQueueBackend } from '../../../src/jobs/index.ts';
import { createRolloutService } from '../../../src/modules/rollouts/index.ts';
import { startWorker, type RunningWorker } from '../../../workers/main.ts';
import { createTrainingProcess, type TrainingProcess } from '../../../workers/training/training-process.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestQueue, eventually, logger, type TestQueue } from '../queue/test-queue.ts';

const ENTRY = fileURLToPath(new URL('../jobs/scripted-training.ts', import.meta.url));
/** The worker is the only one that connects with this name. */
const ROLE = `worker_${process.pid}`;

let queue: TestQueue;
let fleet: Fleet;
let training: TrainingProcess;
let worker: RunningWorker;

beforeAll(async () => {
  queue = await createTestQueue();
  fleet = await createFleet(queue.database.db, { tenants: 2, adapters: 6 });
  await queue.database.db.$executeRawUnsafe(`CREATE ROLE ${ROLE} LOGIN SUPERUSER PASSWORD 'secret'`);
  const url = new URL(queue.database.url);
  url.username = ROLE;
  url.password = 'secret';
  training = createTrainingProcess({ logger, entry: ENTRY });
  const config = loadConfig({ READAPT_DATA_DIR: path.join(fleet.folder, 'data'), DATABASE_URL: url.toString() });
  const backend = createQueueBackend({ databaseUrl: url.toString(), redisUrl: null });
  worker = await startWorker(config, { artifacts: fleet.artifacts, backend, training, logger }, { sweepMs: 100 });
});
afterAll(async () => {
  await worker.stop();
  await training.stop();
  await queue.database.db.$executeRawUnsafe(`DROP ROLE ${ROLE}`);
  await fleet.remove();
  await queue.close();
});

test('a worker carries a fleet over on one connection, and on six for its queue in PostgreSQL', async () => {
  const { db } = queue.database;
  const rollouts = createRolloutService({ db, producer: queue.producer });
  const { id } = await rollouts.create({ base_model_version_id: fleet.newVersionId, options: { control: 'all' } });
  let [most, mostOfQueue] = [0, 0];
  await eventually(
    'the rollout is completed',
    async () => {
      const [row] = await db.$queryRaw<{ own: number; queue: number }[]>`
        SELECT count(*) FILTER (WHERE application_name <> 'readapt-queue')::int AS own,
          count(*) FILTER (WHERE application_name = 'readapt-queue')::int AS queue
        FROM pg_stat_activity WHERE usename = ${ROLE}`;
      most = Math.max(most, row!.own);
      mostOfQueue = Math.max(mostOfQueue, row!.queue);
      return (await rollouts.get(id, null)).state === 'completed';
    },
    40_000,
  );
  expect(most).toBe(1);
  expect(mostOfQueue).toBeGreaterThan(0);
  expect(mostOfQueue).toBeLessThanOrEqual(6);
  expect((await rollouts.get(id, null)).summary).toMatchObject({ adapters: 6, ready: 6, controls: 6 });
});

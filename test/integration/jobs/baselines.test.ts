import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { loadConfig } from '../../../src/platform/config/config.ts';
import { BASELINES_PRIORITY } from '../../../src/platform/queue/priorities.ts';
import { jobRecoverySource } from '../../../src/fleet/rollouts/order/job-recovery.ts';
import { createRolloutService, type RolloutOptions } from '../../../src/fleet/rollouts/index.ts';
import { startWorker, type RunningWorker } from '../../../workers/start/start-worker.ts';
import { createTrainingProcess, type TrainingProcess } from '../../../workers/training/training-process.ts';
import { createFleet, type Behavior, type Fleet } from '../queue/fleet.ts';
import { eventually } from '../../eventually.ts';
import { createTestQueue, logger, queueKind, type TestQueue } from '../queue/test-queue.ts';
import { WORKER_TIMES } from '../queue/worker-times.ts';
import { jobServices } from '../support/job-services.ts';

const ENTRY = fileURLToPath(new URL('./scripted-training.ts', import.meta.url));

let queue: TestQueue;
let training: TrainingProcess;
let fleet: Fleet;
let worker: RunningWorker | undefined;

beforeAll(async () => {
  queue = await createTestQueue();
  training = createTrainingProcess({ logger, entry: ENTRY, cancelGraceMs: 2000 });
});
beforeEach(async () => {
  fleet = await createFleet(queue.database.db, { tenants: 2, adapters: 3 });
});
afterEach(async () => {
  await worker?.stop();
  await queue.clear();
  await fleet.remove();
});
afterAll(async () => {
  await training.stop();
  await queue.close();
});

const rollouts = () => createRolloutService({ db: queue.database.db, producer: queue.producer });
const jobsOf = async (rolloutId: string) =>
  (await jobServices({ db: queue.database.db, producer: queue.producer }).list({ rollout_id: rolloutId }, null)).data;

async function start(behavior: Behavior, options: RolloutOptions = {}): Promise<string> {
  const { backend, producer, database } = queue;
  const config = loadConfig({ READAPT_DATA_DIR: path.join(fleet.folder, 'data'), DATABASE_URL: database.url });
  const parts = { db: database.db, artifacts: fleet.artifacts, backend, producer, training, logger };
  await fleet.behave(behavior);
  worker = await startWorker(config, parts, WORKER_TIMES);
  return (await rollouts().create({ base_model_version_id: fleet.newVersionId, options })).id;
}

const completed = (id: string) =>
  eventually(
    'the rollout is completed',
    async () => (await rollouts().get(id, null)).state === 'completed' && jobsOf(id),
  );

/** Waits until the three adaptations have ended. @returns their jobs */
const allEnded = (id: string) =>
  eventually('all jobs have ended', async () => {
    const jobs = await jobsOf(id);
    return jobs.length === 3 && jobs.every((job) => job.finished_at !== null) && jobs;
  });

describe(`baselines that only the report needs, queue on ${queueKind}`, () => {
  test('are measured after the fleet and before the controls, and complete the rollout', async () => {
    const log = path.join(fleet.folder, 'requests.log');
    const id = await start({ publications: 1, log }, { control: 'all' });
    const jobs = await completed(id);
    const requests = (await readFile(log, 'utf8')).trim().split('\n');
    expect(requests.map((line) => line.split(' ')[0])).toEqual([
      ...Array<string>(3).fill('adaptation'),
      ...Array<string>(3).fill('baselines'),
      ...Array<string>(3).fill('control'),
    ]);
    for (const job of jobs.filter(({ kind }) => kind === 'adaptation')) {
      expect(job.metric).toMatchObject({ old: 0.9, none: 0.3, copy: 0.7 });
      expect(job.warnings).toEqual(['line 3 is long']);
    }
  });

  test('are given up with a warning if they cannot be measured', async () => {
    const id = await start({ publications: 1, baselines: 'permanent' });
    for (const job of await completed(id)) {
      expect(job).toMatchObject({ state: 'ready', error: null, metric: { old: 0.9, none: null, copy: null } });
      expect(job.warnings).toEqual([
        'line 3 is long',
        'what the adapter is compared with could not be measured: a row is too long',
      ]);
    }
  });

  test('are left out of a rollout that is cancelled, also in the middle of one', async () => {
    const id = await start({ publications: 1, baselines: 'hang' });
    await allEnded(id);
    expect((await rollouts().get(id, null)).state).toBe('adapting');
    expect((await rollouts().cancel(id)).state).toBe('cancelled');
    await eventually('the queue is empty', async () => (await queue.producer.count('adaptations')) === 0);
    for (const job of await jobsOf(id)) expect(job).toMatchObject({ state: 'ready', metric: { none: null } });
    expect(await jobRecoverySource(queue.database.db).countLive()).toBe(0);
  });

  test('come back from the rows if the queue loses them', async () => {
    const id = await start({ publications: 1, baselines: 'hang' });
    const jobs = await allEnded(id);
    await worker!.stop();
    worker = undefined;
    const source = jobRecoverySource(queue.database.db);
    expect(await source.countLive()).toBe(3);
    const first = await source.live('', 2);
    const rest = await source.live(first.at(-1)!.rowId, 2);
    expect([...first, ...rest]).toEqual(
      jobs
        .map((job) => job.id)
        .sort()
        .map((jobId) => ({
          rowId: jobId,
          entry: {
            name: 'baselines.measure',
            id: `${jobId}-baselines`,
            payload: { jobId },
            priority: BASELINES_PRIORITY,
          },
        })),
    );
  });
});

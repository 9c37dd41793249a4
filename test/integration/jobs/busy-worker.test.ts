import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../../../src/platform/config/config.ts';
import { createRolloutService } from '../../../src/fleet/rollouts/index.ts';
import { startWorker, type RunningWorker } from '../../../workers/start/start-worker.ts';
import { createTrainingProcess, type TrainingProcess } from '../../../workers/training/training-process.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { eventually } from '../../eventually.ts';
import { createTestQueue, logger, queueKind, type TestQueue } from '../queue/test-queue.ts';
import { WORKER_TIMES } from '../queue/worker-times.ts';
import { jobServices } from '../support/job-services.ts';

const ENTRY = fileURLToPath(new URL('./scripted-training.ts', import.meta.url));

let queue: TestQueue;
let fleets: Fleet[];
const workers: RunningWorker[] = [];
const devices: TrainingProcess[] = [];

beforeEach(async () => {
  queue = await createTestQueue();
  fleets = [];
});
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.stop();
  for (const device of devices.splice(0)) await device.stop();
  for (const fleet of fleets) await fleet.remove();
  await queue.close();
});

async function fleetOf(adapters: number): Promise<Fleet> {
  const fleet = await createFleet(queue.database.db, { tenants: 1, adapters });
  fleets.push(fleet);
  return fleet;
}

function startDevice(): TrainingProcess {
  const device = createTrainingProcess({ logger, entry: ENTRY, cancelGraceMs: 2000 });
  devices.push(device);
  return device;
}

/**
 * Starts a worker with a device, by default of its own. All workers share one store and one checkpoint folder.
 */
async function work(training = startDevice()): Promise<RunningWorker> {
  const { backend, producer, database } = queue;
  const { artifacts, folder } = fleets[0]!;
  const config = loadConfig({ READAPT_DATA_DIR: path.join(folder, 'data'), DATABASE_URL: database.url });
  const worker = await startWorker(
    config,
    { db: database.db, artifacts, backend, producer, training, logger },
    WORKER_TIMES,
  );
  workers.push(worker);
  return worker;
}

const rollouts = () => createRolloutService({ db: queue.database.db, producer: queue.producer });
const jobs = () => jobServices({ db: queue.database.db, producer: queue.producer });
const begin = async ({ newVersionId }: Fleet) => (await rollouts().create({ base_model_version_id: newVersionId })).id;
const jobsOf = async (rolloutId: string) => (await jobs().list({ rollout_id: rolloutId }, null)).data;
const running = (rolloutId: string) =>
  eventually('a job runs', async () => (await jobsOf(rolloutId)).find((job) => job.state === 'fine_tuning'));

test(`a rollout does not wait in a busy worker while another is idle (queue on ${queueKind})`, async () => {
  const busy = await fleetOf(1);
  await busy.behave({ hang: true });
  const first = await begin(busy);
  await work();
  await running(first);
  const second = await begin(await fleetOf(0));
  // Time for the only worker to see it.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await work();
  await eventually('the other rollout is done', async () => (await rollouts().get(second, null)).state === 'completed');
  expect((await jobsOf(first))[0]).toMatchObject({ state: 'fine_tuning', attempt: 1 });
});

test('a rollout comes before the next job of a worker that has no colleague', async () => {
  const large = await fleetOf(12);
  await large.behave({ hang: true });
  const first = await begin(large);
  await work();
  const { id } = await running(first);
  const second = await begin(await fleetOf(0));
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await large.behave({});
  await jobs().cancel(id, null);
  await eventually('the other rollout is done', async () => (await rollouts().get(second, null)).state === 'completed');
  const waiting = (await jobsOf(first)).filter((job) => job.state === 'queued');
  expect(waiting.length).toBeGreaterThan(5);
});

test('a worker that stops does not use up the attempts of its job', async () => {
  const fleet = await fleetOf(1);
  await fleet.behave({ hang: true });
  const id = await begin(fleet);
  // One device for all workers, which come one after the other.
  const device = startDevice();
  const first = await work(device);
  const job = await running(id);
  await first.stop();
  // Sets the job's attempts to one below the limit.
  await queue.database.db.job.update({ where: { id: job.id }, data: { attempt: 24 } });
  for (let times = 0; times < 3; times++) {
    const next = await work(device);
    await running(id);
    await next.stop();
  }
  await fleet.behave({});
  await work(device);
  const ended = await eventually('it has ended', async () =>
    (await jobsOf(id)).find((one) => one.finished_at !== null),
  );
  expect(ended).toMatchObject({ state: 'ready', error: null });
});

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { jobServices } from '../support/job-services.ts';
import { createRolloutService } from '../../../src/fleet/rollouts/index.ts';
import { startWorkerProcess } from '../jobs/worker-process.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { eventually } from '../../eventually.ts';
import { createTestQueue, type TestQueue } from '../queue/test-queue.ts';

interface WorkerProcess {
  readonly child: ChildProcess;
  trainingPid: number | null;
}

let queue: TestQueue;
let fleet: Fleet;
const workers: WorkerProcess[] = [];

beforeEach(async () => {
  queue = await createTestQueue();
  fleet = await createFleet(queue.database.db, { tenants: 1, adapters: 1 });
});
afterEach(async () => {
  for (const { child } of workers.splice(0)) {
    const exit = once(child, 'exit');
    if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await exit;
  }
  await fleet.remove();
  await queue.close();
});

function startWorker(): WorkerProcess {
  const child = startWorkerProcess(queue, fleet);
  const worker: WorkerProcess = { child, trainingPid: null };
  child.on('message', (message) => (worker.trainingPid = (message as { trainingPid: number | null }).trainingPid));
  workers.push(worker);
  return worker;
}

test('a worker that was stopped for a while does not disturb the one that has taken its job over', async () => {
  const { db } = queue.database;
  const rollouts = createRolloutService({ db, producer: queue.producer });
  const jobs = jobServices({ db, producer: queue.producer });
  const goOn = path.join(fleet.folder, 'go-on');
  await fleet.behave({ publications: 1, until: goOn });
  const { id } = await rollouts.create({ base_model_version_id: fleet.newVersionId });
  const trainedIn = (attempt: number) =>
    eventually(`attempt ${attempt} trains`, async () => {
      const [job] = (await jobs.list({ rollout_id: id }, null)).data;
      return job?.state === 'fine_tuning' && job.attempt === attempt && job;
    });
  const first = startWorker();
  const job = await trainedIn(1);
  // A process that is stopped in the middle of a transaction would keep its locks until PostgreSQL ends it, after 30 s.
  const lastPoint = { jobId_name_step: { jobId: job.id, name: 'train_loss', step: 2 } };
  await eventually('all that it has to tell is stored', () => db.metricPoint.findUnique({ where: lastPoint }));
  const folder = path.join(fleet.folder, 'data', 'checkpoints', job.id);
  expect(await readdir(folder)).toEqual(['attempt-1']);
  const trainingPid = await eventually('it has told of its training process', async () => first.trainingPid);
  const stopped = [first.child.pid!, trainingPid];
  for (const pid of stopped) process.kill(pid, 'SIGSTOP');

  startWorker();
  await trainedIn(2);
  // The checkpoints have moved, so the first worker's later writes go elsewhere.
  expect(await readdir(folder)).toEqual(['attempt-2']);
  for (const pid of stopped) process.kill(pid, 'SIGCONT');
  // Both workers finish their candidates now.
  await writeFile(goOn, '');
  await eventually('the rollout is completed', async () => (await rollouts.get(id, null)).state === 'completed');

  expect(await jobs.get(job.id, null)).toMatchObject({ state: 'ready', attempt: 2, error: null });
  expect(await db.adapterVersion.count({ where: { jobId: job.id } })).toBe(1);
  expect(await db.event.count({ where: { subjectId: job.id, type: 'job.ready' } })).toBe(1);
  expect(first.child.exitCode).toBeNull();
});

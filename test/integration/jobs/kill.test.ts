import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { jobServices } from '../support/job-services.ts';
import { createRolloutService } from '../../../src/fleet/rollouts/index.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { eventually } from '../../eventually.ts';
import { createTestQueue, queueKind, type TestQueue } from '../queue/test-queue.ts';
import { startWorkerProcess } from './worker-process.ts';

let queue: TestQueue;
let fleet: Fleet;
const children: ChildProcess[] = [];

beforeAll(async () => {
  queue = await createTestQueue();
  fleet = await createFleet(queue.database.db, { tenants: 1, adapters: 2 });
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await fleet.remove();
  await queue.close();
});

function startProcess(): ChildProcess {
  const child = startWorkerProcess(queue, fleet);
  children.push(child);
  return child;
}

const KILLED_WORKER = 'kill -9 of a worker in the middle of a job: the next worker ends the rollout';
test(`${KILLED_WORKER} (queue on ${queueKind})`, async () => {
  const rollouts = createRolloutService({ db: queue.database.db, producer: queue.producer });
  const jobs = jobServices({ db: queue.database.db, producer: queue.producer });
  await fleet.behave({ hang: true });
  const { id } = await rollouts.create({ base_model_version_id: fleet.newVersionId });
  const first = startProcess();
  let trainingPid: number | null = null;
  first.on('message', (message) => (trainingPid = (message as { trainingPid: number | null }).trainingPid));
  const running = await eventually(
    'a job is being fine-tuned',
    async () => trainingPid !== null && (await jobs.list({ rollout_id: id, state: ['fine_tuning'] }, null)).data[0],
  );
  first.kill('SIGKILL');
  await once(first, 'exit');
  await eventually('the training process has ended with its parent', async () => !alive(trainingPid!));
  await fleet.behave({});
  startProcess();
  const done = await eventually('the rollout is completed', async () => {
    const rollout = await rollouts.get(id, null);
    return rollout.state === 'completed' && rollout;
  });
  expect(done.jobs).toEqual({ ready: 2 });
  const job = await jobs.get(running.id, null);
  expect(job.attempt).toBe(2);
  expect(Math.abs(Object.values(job.phases).reduce((a, b) => a + b, 0) - job.ttr_ms!)).toBeLessThan(1);
  expect(await queue.database.db.adapterVersion.count({ where: { baseModelVersionId: fleet.newVersionId } })).toBe(2);
});

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

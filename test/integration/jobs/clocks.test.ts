import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createRolloutService } from '../../../src/fleet/rollouts/index.ts';
import { FAKETIME, NO_FAKETIME } from '../../faults/support/faketime.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { eventually } from '../../eventually.ts';
import { createTestQueue, queueKind, type TestQueue } from '../queue/test-queue.ts';
import { startWorkerProcess } from './worker-process.ts';

if (FAKETIME === '') console.warn(`clocks are not set: ${NO_FAKETIME}`);

let queue: TestQueue;
let fleet: Fleet;
const children: ChildProcess[] = [];

beforeEach(async () => {
  queue = await createTestQueue();
  fleet = await createFleet(queue.database.db, { tenants: 1, adapters: 2 });
});
afterEach(async () => {
  for (const child of children.splice(0)) await kill(child);
  await fleet.remove();
  await queue.close();
});

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

function work(env: NodeJS.ProcessEnv = {}): ChildProcess {
  const child = startWorkerProcess(queue, fleet, env);
  children.push(child);
  return child;
}

/** Starts a worker whose clock `set` shifts, even while it runs. Its timers are unaffected. */
async function workBy(shift: string): Promise<{ set(shift: string): Promise<void> }> {
  const file = path.join(fleet.folder, 'clock');
  const set = (text: string) => writeFile(file, `${text}\n`);
  await set(shift);
  const noCache = { FAKETIME_NO_CACHE: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1', DONT_FAKE_MONOTONIC: '1' };
  work({ LD_PRELOAD: FAKETIME, FAKETIME_TIMESTAMP_FILE: file, ...noCache });
  return { set };
}

async function begin(): Promise<string> {
  const rollouts = createRolloutService({ db: queue.database.db, producer: queue.producer });
  return (await rollouts.create({ base_model_version_id: fleet.newVersionId })).id;
}

const states = async () => (await queue.database.db.job.findMany({ orderBy: { id: 'asc' } })).map((job) => job.state);
const isTraining = async () => (await states()).includes('fine_tuning');
const isQuarantined = async () => await queue.database.db.workerProcess.findFirst({ where: { state: 'quarantined' } });
const hasWorked = async () => await queue.database.db.workerProcess.findFirst({ where: { jobsDone: { gt: 0 } } });
const isCompleted = (id: string) => async () =>
  (await queue.database.db.rollout.findUniqueOrThrow({ where: { id } })).state === 'completed';
const stalledChecks = () => queue.database.db.$queryRaw`SELECT 1 FROM bullmq.meta WHERE field = 'stalled-check'`;

describe.runIf(FAKETIME !== '')(`a worker with a wrong clock (queue on ${queueKind})`, () => {
  test.each([
    ['+39h', 'ahead of'],
    ['-39h', 'behind'],
  ])('that starts with a clock %s off takes no job and writes no times', async (shift, words) => {
    await workBy(shift);
    const id = await begin();
    const found = await eventually('it is quarantined', isQuarantined);
    expect(found.reason).toMatch(
      new RegExp(
        `^the clock of this machine is (39.0|38.9) h ${words} the database's, ` +
          'expected at most 3.0 s \\(READAPT_CLOCK_TOLERANCE_MS\\)',
      ),
    );
    expect(found.quarantinedUntil).toBeNull();
    work();
    await eventually('another one completes the rollout', isCompleted(id));
    await eventually('it has reported that', hasWorked);
    const all = await queue.database.db.workerProcess.findMany({ orderBy: { startedAt: 'asc' } });
    expect(all.map((worker) => [worker.state, worker.jobsDone > 0])).toEqual([
      ['quarantined', false],
      ['ready', true],
    ]);
  });

  test('is the only one: nothing runs until its clock is right', async () => {
    const clock = await workBy('+39h');
    const id = await begin();
    await eventually('it is quarantined', isQuarantined);
    if (queueKind === 'postgres') expect(await stalledChecks()).toEqual([]);
    expect(await queue.database.db.workerProcess.findMany()).toMatchObject([{ jobsDone: 0, jobsFailed: 0, faults: 0 }]);
    await clock.set('+0');
    await eventually('it completes the rollout', isCompleted(id));
  });

  test.each(['+39h', '-39h'])(
    'whose clock jumps by %s puts its job off, and goes on when it is right',
    async (shift) => {
      await fleet.behave({ hang: true });
      const clock = await workBy('+0');
      const id = await begin();
      await eventually('a job is trained', isTraining);
      await clock.set(shift);
      await eventually('it is quarantined', isQuarantined);
      await eventually('its job is put off', async () => !(await isTraining()));
      expect(await states()).toEqual(['queued', 'queued']);
      await fleet.behave({});
      await clock.set('+0');
      await eventually('it completes the rollout', isCompleted(id));
      expect(await states()).toEqual(['ready', 'ready']);
    },
  );
});

test.runIf(queueKind === 'postgres')('times that a clock ahead has written into the queue are set back', async () => {
  await fleet.behave({ hang: true });
  const id = await begin();
  const first = work();
  await eventually('a job is trained', isTraining);
  await kill(first);
  const { db } = queue.database;
  const later = Date.now() + 39 * 3_600_000;
  await db.$executeRaw`UPDATE bullmq.meta SET value = ${String(later)} WHERE field = 'stalled-check'`;
  await db.$executeRaw`UPDATE bullmq.job SET locked_until_ms = ${later} WHERE state = 'active'`;
  const delayed = await db.$executeRaw`
    UPDATE bullmq.job SET state = 'delayed', process_at_ms = ${later}
    WHERE state IN ('waiting', 'delayed') AND queue = 'adaptations'`;
  expect(delayed).toBe(1);
  await fleet.behave({});
  work();
  await eventually('the next worker completes the rollout', isCompleted(id));
  expect(await states()).toEqual(['ready', 'ready']);
});

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Queue } from 'bullmq';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { compiledModule } from '../../compiled/index.ts';
import { packageVersion } from '../../../core/installation/package-path.ts';
import { createQueueBackend, QUEUES } from '../../../src/platform/queue/index.ts';
import { createRolloutService } from '../../../src/fleet/rollouts/index.ts';
import { startWorker, type RunningWorker } from '../../../workers/start/start-worker.ts';
import type { WorkerTimes } from '../../../workers/start/worker-options.ts';
import { createTrainingProcess, type TrainingProcess } from '../../../workers/training/training-process.ts';
import { createFleet, type Behavior, type Fleet } from '../queue/fleet.ts';
import { eventually } from '../../eventually.ts';
import { logger } from '../queue/test-queue.ts';
import { MORTAL_WORKER_TIMES } from '../queue/worker-times.ts';
import { createTestApp, createTestKey, type TestApp } from '../support/index.ts';

const ENTRY = fileURLToPath(new URL('./scripted-training.ts', import.meta.url));
const CHILD = fileURLToPath(new URL('./worker-child.ts', import.meta.url));
/** Times of the workers in separate processes. All workers of a queue have equal locks. */
const TIMES = { ...MORTAL_WORKER_TIMES, registrationMs: 200 };

interface Listed {
  id: string;
  state: string;
  reason: string | null;
  version: string;
  memory_bytes: number | null;
  current_job: string | null;
  jobs_done: number;
  faults: number;
  busy_ms: number;
  tokens_per_second: number | null;
  load: number | null;
  idle_requested_at: string | null;
  seen_at: string;
  unreadable_base_model_version_ids: string[];
}

let app: TestApp;
let fleet: Fleet;
const workers: RunningWorker[] = [];
/** Training process of all workers that can start one. */
let training: TrainingProcess;
const children: ChildProcess[] = [];

beforeAll(async () => {
  app = await createTestApp();
  training = createTrainingProcess({ logger, entry: ENTRY, cancelGraceMs: 2000 });
});
beforeEach(() => useFleetOf(2));
afterEach(async () => {
  for (const child of children.splice(0)) {
    const exit = once(child, 'exit');
    if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await exit;
  }
  for (const worker of workers.splice(0)) await worker.stop();
  await app.db.rollout.deleteMany();
  await app.db.workerProcess.deleteMany();
  await clearQueues();
  await fleet.remove();
});
afterAll(async () => {
  await training.stop();
  await app.close();
});

async function useFleetOf(adapters: number): Promise<void> {
  fleet = await createFleet(app.db, { tenants: 1, adapters });
}

const createBackend = () => createQueueBackend({ databaseUrl: app.database.url, redisUrl: null });

async function clearQueues(): Promise<void> {
  await app.db.outboxEntry.deleteMany();
  const backend = createBackend();
  for (const name of QUEUES) {
    const queue = backend.createQueue(name) as unknown as Queue;
    await queue.obliterate({ force: true });
    await queue.close();
  }
}

async function work(times: WorkerTimes = {}, own = training): Promise<RunningWorker> {
  const backend = createBackend();
  const { producer } = app.deps;
  const deps = { db: app.db, artifacts: fleet.artifacts, backend, producer, training: own, logger };
  const worker = await startWorker(app.config, deps, { ...TIMES, ...times });
  workers.push(worker);
  return worker;
}

async function begin(behavior: Behavior): Promise<string> {
  await fleet.behave({ allBaselines: true, ...behavior });
  const rollouts = createRolloutService({ db: app.db, producer: app.deps.producer });
  return (await rollouts.create({ base_model_version_id: fleet.newVersionId, options: {} })).id;
}

const list = async () => (await app.request({ url: '/v1/workers' })).json<{ data: Listed[] }>().data;
const states = async () => (await app.db.job.findMany({ orderBy: { id: 'asc' } })).map((job) => job.state);
/** Waits until a listed worker meets the condition. @returns the worker */
const listed = (what: string, is: (worker: Listed) => boolean) => eventually(what, async () => (await list()).find(is));

describe('the list of workers', () => {
  test('says what each is and does, and only to operators', async () => {
    await fleet.remove();
    await useFleetOf(1);
    const worker = await work();
    const id = await begin({ publications: 1, allBaselines: false });
    await eventually('the rollout is completed', async () => {
      return (await app.db.rollout.findUniqueOrThrow({ where: { id } })).state === 'completed';
    });
    const found = await listed(
      'the analysis, the adaptation and its baselines are counted',
      ({ jobs_done }) => jobs_done === 3,
    );
    expect(found).toMatchObject({ state: 'ready', reason: null, pid: process.pid, faults: 0, device: 'auto' });
    // The scripted training process reports a speed of one token per second.
    expect(found).toMatchObject({ host: os.hostname(), version: packageVersion(), tokens_per_second: 1 });
    expect(found.memory_bytes).toBeGreaterThan(2 ** 20);
    expect(found.busy_ms).toBeGreaterThan(0);
    expect(found.load).toBeGreaterThan(0);
    expect(found.load).toBeLessThanOrEqual(1);
    await listed('the next heartbeat is seen', ({ seen_at }) => seen_at > found.seen_at);
    expect((await app.request({ url: `/v1/workers/${found.id}` })).json()).toMatchObject({ id: found.id });
    const { body } = await app.request({ url: '/metrics' });
    expect(body).toContain('readapt_workers{state="ready"} 1');
    expect(body).toMatch(new RegExp(`readapt_worker_jobs_done{worker="${found.id}",device="auto",version="[^"]+"} 3`));

    const tenantKey = await createTestKey(app.db, { tenantId: fleet.tenants[0]!, scopes: ['tenant:admin'] });
    for (const url of ['/v1/workers', `/v1/workers/${found.id}`])
      expect((await app.request({ url, key: tenantKey })).statusCode).toBe(403);
    expect(
      (await app.request({ method: 'POST', url: `/v1/workers/${found.id}/drain`, key: tenantKey })).statusCode,
    ).toBe(403);

    await worker.stop();
    expect(await list()).toMatchObject([{ id: found.id, state: 'gone' }]);
    expect((await app.request({ url: '/metrics' })).body).toContain('readapt_workers{state="ready"} 0');
    const late = await app.request({ method: 'POST', url: `/v1/workers/${found.id}/drain` });
    expect(late.json()).toMatchObject({ status: 409, code: 'worker_gone' });
  });

  test('has a row that was lost again, and forgets a killed worker a day after its last heartbeat', async () => {
    await work();
    const [{ id }] = (await list()) as [Listed];
    await app.db.workerProcess.deleteMany();
    await listed('it is listed again', (worker) => worker.id === id);
    await workers.pop()!.stop();
    const died = (age: string) =>
      app.db.$executeRawUnsafe(
        `UPDATE workers SET stopped_at = NULL, seen_at = now() - interval '${age}', load = 0.5,
         loaded_bases = '{${fleet.newVersionId}}'
         WHERE id = '${id}'`,
      );
    await died('25 s');
    const loaded = [fleet.newVersionId];
    expect(await list()).toMatchObject([{ id, state: 'ready', load: 0.5, loaded_base_model_version_ids: loaded }]);
    await died('31 s');
    expect(await list()).toMatchObject([{ id, state: 'gone', load: null, loaded_base_model_version_ids: [] }]);
    const { body } = await app.request({ url: '/metrics' });
    expect(body).toContain('readapt_workers{state="gone"} 1');
    expect(body).not.toContain(`worker="${id}"`);
    await died('25 h');
    await work();
    expect((await list()).map((worker) => worker.id)).not.toContain(id);
  });
});

test('a drained worker ends its job, leaves the next one to others and stops', async () => {
  const until = path.join(fleet.folder, 'go-on');
  const worker = await work();
  await begin({ publications: 1, until });
  await eventually('a job is trained', async () => (await states()).includes('fine_tuning'));
  const busy = await listed('its job is listed', ({ current_job }) => current_job?.startsWith('job_') === true);
  const asked = await app.request({ method: 'POST', url: `/v1/workers/${busy.id}/drain` });
  expect(asked.statusCode).toBe(202);
  const draining = await listed('it is draining', ({ state }) => state === 'draining');
  let isDrained = false;
  void worker.drained.then(() => (isDrained = true));
  await listed('it goes on to be there', ({ seen_at }) => seen_at > draining.seen_at);
  expect([isDrained, (await states()).sort()]).toEqual([false, ['fine_tuning', 'queued']]);
  await writeFile(until, '');
  await worker.drained;
  await worker.stop();
  expect((await states()).sort()).toEqual(['queued', 'ready']);
  expect(await list()).toMatchObject([{ id: busy.id, state: 'gone', current_job: null }]);
  const attempts = (await app.db.job.findMany()).map((job) => job.attempt).sort();
  expect(attempts).toEqual([0, 1]);
  await work();
  await eventually('another worker does the rest', async () => (await states()).every((state) => state === 'ready'));
});

test('a worker that was drained and released has kept its process and taken no jobs meanwhile', async () => {
  const ask = async (what: string) => {
    const answer = await app.request({ method: 'POST', url: `/v1/workers/${id}/${what}` });
    expect(answer.statusCode, answer.body).toBe(202);
  };
  const isTrained = () => eventually('a job is trained', async () => (await states()).includes('fine_tuning'));
  await fleet.remove();
  await useFleetOf(3);
  const [first, second] = [path.join(fleet.folder, 'first'), path.join(fleet.folder, 'second')];
  const worker = await work();
  let isDrained = false;
  void worker.drained.then(() => (isDrained = true));
  await begin({ publications: 1, until: first });
  await isTrained();
  const [{ id }] = (await list()) as [Listed];
  await ask('drain?stop=false');
  await listed('it is draining', ({ state }) => state === 'draining');
  await fleet.behave({ allBaselines: true, publications: 1, until: second });
  await writeFile(first, '');
  const waiting = await listed('its job has ended', ({ current_job }) => current_job === null);
  expect(waiting.idle_requested_at).not.toBeNull();
  await listed('it goes on to be there', ({ seen_at }) => seen_at > waiting.seen_at);
  expect([isDrained, (await states()).sort()]).toEqual([false, ['queued', 'queued', 'ready']]);
  await ask('release');
  await isTrained();

  // Released before its job has ended, it does not stop at that end.
  await ask('drain');
  await listed('it is draining', ({ state }) => state === 'draining');
  await ask('release');
  await listed('it is ready', ({ state }) => state === 'ready');
  await writeFile(second, '');
  await eventually('it does the rest', async () => (await states()).every((state) => state === 'ready'));
  expect(isDrained).toBe(false);
  expect(await list()).toMatchObject([{ id, state: 'ready', idle_requested_at: null }]);
  // Draining works again, and then the worker stops.
  await ask('drain');
  await worker.drained;
});

test('a quarantine is listed with its reason, and the operator can lift it', async () => {
  const quarantine = { firstDelayMs: 20, longestDelayMs: 20, faults: 2, firstMs: 3_600_000, longestMs: 3_600_000 };
  const entry = fileURLToPath(new URL('./not-there.js', import.meta.url));
  await work({ quarantine }, createTrainingProcess({ logger, entry }));
  await begin({ publications: 1 });
  const sick = await listed('it is quarantined', ({ state }) => state === 'quarantined');
  expect(sick).toMatchObject({ reason: 'the training process of the worker cannot start', faults: 2 });
  expect((await app.request({ url: '/metrics' })).body).toContain('readapt_workers{state="quarantined"} 1');
  const lifted = await app.request({ method: 'POST', url: `/v1/workers/${sick.id}/lift-quarantine` });
  expect(lifted.statusCode).toBe(202);
  // The worker has forgotten its faults, tries again, and is quarantined after two more.
  await listed('it has tried again', ({ state, faults }) => state === 'quarantined' && faults === 4);
});

/**
 * Whether this machine may mount file systems (as in CI), which is needed to show a worker an empty folder in place of
 * a base.
 */
const canMount = process.platform === 'linux' && spawnSync('unshare', ['--mount', 'true']).status === 0;

describe.runIf(canMount)('a worker that cannot read a base', () => {
  /** Starts a worker that sees the folder as empty. */
  function workWithout(folder: string): void {
    const command = `mount -t tmpfs tmpfs "$1" && exec "$2" "$3"`;
    const child = spawn(
      'unshare',
      ['--mount', 'sh', '-c', command, 'sh', folder, process.execPath, compiledModule(CHILD)],
      {
        env: {
          ...process.env,
          DATABASE_URL: app.database.url,
          REDIS_URL: '',
          READAPT_DATA_DIR: app.dataDir,
          READAPT_LOG_LEVEL: 'silent',
        },
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      },
    );
    children.push(child);
  }

  test('leaves its jobs to others, says so, and goes on when it can', async () => {
    await fleet.remove();
    await useFleetOf(1);
    workWithout(path.join(fleet.folder, 'v2'));
    const blind = await listed('it is listed', () => true);
    const id = await begin({ publications: 1 });
    await listed('it names the base', (worker) =>
      worker.unreadable_base_model_version_ids.includes(fleet.newVersionId),
    );
    const rollout = () => app.db.rollout.findUniqueOrThrow({ where: { id } });
    await eventually('the rollout says why it waits', async () => {
      const { error } = await rollout();
      return /can read the folder of base model version v2/.test(JSON.stringify(error));
    });
    expect((await rollout()).state).toBe('analyzing');
    expect((await list()).find((worker) => worker.id === blind.id)).toMatchObject({ state: 'ready', faults: 0 });

    await work();
    await eventually(
      'a worker that can read it completes the rollout',
      async () => (await rollout()).state === 'completed',
    );
    expect(await states()).toEqual(['ready']);
    expect((await rollout()).error).toBeNull();
    expect((await app.db.job.findMany()).map((job) => job.error)).toEqual([null]);
  });
});

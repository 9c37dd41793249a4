import { fileURLToPath } from 'node:url';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRolloutService } from '../../../src/fleet/rollouts/index.ts';
import { loadConfig } from '../../../src/platform/config/config.ts';
import { startWorker, type RunningWorker } from '../../../workers/start/start-worker.ts';
import { createTrainingProcess, type TrainingProcess } from '../../../workers/training/training-process.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { eventually } from '../../eventually.ts';
import { createTestQueue, logger, type TestQueue } from '../queue/test-queue.ts';
import { WORKER_TIMES } from '../queue/worker-times.ts';
import { samplesOf } from './samples.ts';

const ENTRY = fileURLToPath(new URL('../jobs/scripted-training.ts', import.meta.url));
const TIMES = { ...WORKER_TIMES, housekeepingDelayMs: 0 };

let queue: TestQueue;
let fleet: Fleet;
let training: TrainingProcess;
const workers: RunningWorker[] = [];

beforeAll(async () => {
  queue = await createTestQueue();
  fleet = await createFleet(queue.database.db, { tenants: 1, adapters: 3 });
  training = createTrainingProcess({ logger, entry: ENTRY, cancelGraceMs: 2000 });
});
afterAll(async () => {
  for (const worker of workers) await worker.stop();
  await training.stop();
  await queue.close();
  await fleet.remove();
});

async function work(port: string): Promise<RunningWorker> {
  const { database, backend, producer, redisUrl } = queue;
  const config = loadConfig({
    READAPT_DATA_DIR: `${fleet.folder}/data`,
    DATABASE_URL: database.url,
    REDIS_URL: redisUrl ?? '',
    READAPT_DEVICE: 'cpu',
    READAPT_WORKER_METRICS_PORT: port,
  });
  const deps = { db: database.db, artifacts: fleet.artifacts, backend, producer, training, logger };
  const worker = await startWorker(config, deps, TIMES);
  workers.push(worker);
  return worker;
}

async function roll(): Promise<void> {
  const rollouts = createRolloutService({ db: queue.database.db, producer: queue.producer });
  const { id } = await rollouts.create({ base_model_version_id: fleet.newVersionId, options: {} });
  await eventually('the rollout is completed', async () => (await rollouts.get(id, null)).state === 'completed');
}

test('a worker measures its jobs, and serves that with a sign of life', async () => {
  const { metricsPort } = await work('0');
  const ask = async (path: string, method = 'GET') => fetch(`http://127.0.0.1:${metricsPort}${path}`, { method });
  const scrape = async () => samplesOf(await (await ask('/metrics')).text());
  expect(await scrape()).toMatchObject({
    'readapt_jobs_ended_total{kind="adaptation",state="ready"}': 0,
    'readapt_job_attempts_failed_total{code="disk_full"}': 0,
    'readapt_device_seconds_total{device="cpu",job="adaptation.run"}': 0,
  });
  await fleet.behave({ publications: 2 });
  await roll();
  const ready = await eventually('two jobs are measured', async () => {
    const samples = await scrape();
    return samples['readapt_job_phase_duration_seconds_count{kind="adaptation",phase="publish"}'] === 3 && samples;
  });
  expect(ready).toMatchObject({
    'readapt_jobs_ended_total{kind="adaptation",state="ready"}': 3,
    'readapt_jobs_ended_total{kind="adaptation",state="failed"}': 0,
    'readapt_queue_job_attempts_total{job="rollout.plan",end="done"}': 1,
    'readapt_queue_job_attempts_total{job="adaptation.run",end="done"}': 3,
    'readapt_artifact_store_errors_total{code="storage_full"}': 0,
  });
  const { db } = queue.database;
  const jobs = await db.job.findMany({ select: { ttrMs: true, fineTuneMs: true, wonStrategy: true } });
  const sum = (values: (number | null)[]) => values.reduce<number>((total, value) => total + (value ?? 0), 0) / 1000;
  const strategy = jobs[0]?.wonStrategy ?? '';
  expect(ready[`readapt_time_to_readiness_seconds_count{strategy="${strategy}"}`]).toBe(3);
  expect(ready[`readapt_time_to_readiness_seconds_sum{strategy="${strategy}"}`]).toBeCloseTo(
    sum(jobs.map((job) => job.ttrMs)),
    3,
  );
  expect(ready['readapt_job_phase_duration_seconds_sum{kind="adaptation",phase="fine_tune"}']).toBeCloseTo(
    sum(jobs.map((job) => job.fineTuneMs)),
    3,
  );
  expect(ready['readapt_device_seconds_total{device="cpu",job="adaptation.run"}']).toBeGreaterThan(0);
  expect(ready['readapt_sweeper_last_success_timestamp_seconds{task="sweep"}']).toBeGreaterThan(Date.now() / 1000 - 60);
  await eventually('every task of the housekeeping has ended', async () => {
    const tasks = Object.keys(await scrape()).filter((name) => name.startsWith('readapt_housekeeping_last_success'));
    return tasks.length === 9;
  });
  expect(await (await ask('/healthz')).json()).toEqual({ status: 'ok' });
  expect((await ask('/v1/workers')).status).toBe(404);
  expect((await ask('/metrics', 'POST')).status).toBe(404);
});

test('failed attempts and jobs are counted by their codes, and no code makes a series of its own', async () => {
  const { metricsPort } = workers[0]!;
  const scrape = async () => samplesOf(await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text());
  const before = await scrape();
  await queue.database.db.rollout.deleteMany();
  await queue.database.db.adapterVersion.deleteMany({ where: { origin: 'adapted' } });
  await fleet.behave({ outcome: 'permanent' });
  await roll();
  // The job's row has the end of an attempt before the queue does.
  const attempts = 'readapt_queue_job_attempts_total{job="adaptation.run",end="failed"}';
  const after = await eventually('the last attempt is counted', async () => {
    const found = await scrape();
    return found[attempts]! - before[attempts]! >= 3 && found;
  });
  const grown = (name: string) => after[name]! - before[name]!;
  expect(grown('readapt_jobs_ended_total{kind="adaptation",state="failed"}')).toBe(3);
  expect(grown('readapt_job_attempts_failed_total{code="other"}')).toBe(3);
  expect(grown(attempts)).toBe(3);
});

test('a port that another process uses stops the start with a line that names the setting', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  try {
    await expect(work(String(port))).rejects.toThrow(/^READAPT_WORKER_METRICS_PORT is \d+, .*EADDRINUSE/);
  } finally {
    other.close();
  }
});

import { access, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig, type Config } from '../../../src/platform/config/config.ts';
import { createRolloutService, type RolloutOptions } from '../../../src/fleet/rollouts/index.ts';
import { startWorker, type RunningWorker } from '../../../workers/start/start-worker.ts';
import { createTrainingProcess, type TrainingProcess } from '../../../workers/training/training-process.ts';
import { PATIENCE_MS } from '../../patience.ts';
import { createFleet, type Behavior, type Fleet } from '../queue/fleet.ts';
import { eventually } from '../../eventually.ts';
import { createTestQueue, logger, queueKind, type TestQueue } from '../queue/test-queue.ts';
import { WORKER_TIMES } from '../queue/worker-times.ts';
import { jobServices } from '../support/job-services.ts';

const ENTRY = fileURLToPath(new URL('./scripted-training.ts', import.meta.url));

let queue: TestQueue;
let training: TrainingProcess;
let fleet: Fleet;
let config: Config;
const workers: RunningWorker[] = [];

beforeAll(async () => {
  queue = await createTestQueue();
  training = createTrainingProcess({ logger, entry: ENTRY, cancelGraceMs: 2000 });
});
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.stop();
  await queue.clear();
  await fleet.remove();
});
afterAll(async () => {
  await training.stop();
  await queue.close();
});

async function useFleetOf(adapters: number): Promise<void> {
  fleet = await createFleet(queue.database.db, { tenants: 2, adapters });
  config = loadConfig({ READAPT_DATA_DIR: path.join(fleet.folder, 'data'), DATABASE_URL: queue.database.url });
}

async function work(): Promise<RunningWorker> {
  const { backend, producer, database } = queue;
  const worker = await startWorker(
    config,
    { db: database.db, artifacts: fleet.artifacts, backend, producer, training, logger },
    WORKER_TIMES,
  );
  workers.push(worker);
  return worker;
}

const rollouts = () => createRolloutService({ db: queue.database.db, producer: queue.producer });
const jobs = () => jobServices({ db: queue.database.db, producer: queue.producer });
const behave = (behavior: Behavior) => fleet.behave({ allBaselines: true, ...behavior });
const start = async (behavior: Behavior, options: RolloutOptions = {}): Promise<string> => {
  await behave(behavior);
  return (await rollouts().create({ base_model_version_id: fleet.newVersionId, options })).id;
};
const jobsOf = async (rolloutId: string) => (await jobs().list({ rollout_id: rolloutId }, null)).data;
const ended = (rolloutId: string, state: string) =>
  eventually(`rollout is ${state}`, async () => {
    const rollout = await rollouts().get(rolloutId, null);
    return rollout.state === state && rollout;
  });

describe(`a worker, queue on ${queueKind}`, () => {
  test('carries a whole fleet over', async () => {
    await useFleetOf(2);
    await work();
    const id = await start(
      { publications: 1, allBaselines: false },
      { control: 'sample', control_fraction: 0.5, seed: 3 },
    );
    const rollout = await ended(id, 'completed');
    expect(rollout.jobs).toEqual({ ready: 2 });
    expect(rollout.controls).toEqual({ ready: 1 });
    expect(rollout.summary).toMatchObject({ adapters: 2, ready: 2, not_ready: 0, controls: 1 });
    expect(rollout.evolutions).toEqual([
      {
        old_base_model_version_id: fleet.oldVersionId,
        state: 'ready',
        drift: 0.1,
        advice: { verdict: 'revert', reasons: [{ code: 'undoable', message: 'the adapter can undo it' }] },
      },
    ]);
    expect(rollout.summary.median_ttr_ms).toBeGreaterThan(0);
    expect(rollout.summary.median_speedup).toBeGreaterThan(0);
    const all = await jobsOf(id);
    const adaptations = all.filter((job) => job.kind === 'adaptation');
    const lastAdaptation = Math.max(...adaptations.map((job) => Date.parse(job.finished_at!)));
    expect(
      Math.abs(rollout.summary.makespan_ms! - (lastAdaptation - Date.parse(rollout.accepted_at))),
    ).toBeLessThanOrEqual(1);
    for (const control of all.filter((job) => job.kind === 'control')) {
      expect(Date.parse(control.started_at!)).toBeGreaterThanOrEqual(lastAdaptation);
      expect(control).toMatchObject({ strategy: 'scratch', published_version_id: null, metric: { published: null } });
      expect(control.metric.best).toBeGreaterThanOrEqual(0.8);
    }
    const adapted = await queue.database.db.adapterVersion.findMany({ where: { origin: 'adapted' } });
    expect(adapted).toHaveLength(2);
    for (const { artifactDigest } of adapted) {
      const folder = await fleet.artifacts.localPath(artifactDigest);
      const published = JSON.parse(await readFile(path.join(folder, 'adapter_config.json'), 'utf8')) as object;
      expect(published).toMatchObject({ base_model_name_or_path: 'served/v2' });
    }
    for (const job of all) {
      expect(job).toMatchObject({
        row_format: { append_eos: false, append_eos_reason: 'asked: auto', max_length: 99 },
        warnings: ['line 3 is long'],
      });
      expect(Math.abs(Object.values(job.phases).reduce((a, b) => a + b, 0) - job.ttr_ms!)).toBeLessThan(1);
    }
    for (const job of adaptations) {
      expect(job).toMatchObject({
        state: 'ready',
        won_strategy: 'relora',
        fusion_alpha: 1,
        fusion_beta: -0.5,
        step: 4,
        error: null,
      });
      expect(job.metric).toEqual({
        name: 'accuracy',
        target: 0.8,
        old: 0.9,
        anchor: 0.5,
        none: 0.3,
        copy: 0.7,
        published: 0.85,
        best: 0.85,
      });
      expect(job.phases.evolution).toBeGreaterThan(0);
      const version = await queue.database.db.adapterVersion.findUniqueOrThrow({
        where: { id: job.published_version_id! },
      });
      expect(version).toMatchObject({
        number: 2,
        baseModelVersionId: fleet.newVersionId,
        origin: 'adapted',
        rank: 4,
        loraAlpha: 8,
        jobId: job.id,
      });
      await fleet.artifacts.verify(version.artifactDigest);
      await expect(access(path.join(config.dataDir, 'checkpoints', job.id))).rejects.toThrow('ENOENT');
      const { data } = await jobs().metrics(job.id, { name: 'train_loss' }, null);
      expect(data.map((point) => [point.step, point.value])).toEqual([
        [1, 1],
        [2, 0.5],
      ]);
      const searched = { index: 0, fusionAlpha: 1, fusionBeta: -1, rows: 16, metric: 'loss', loss: 0.5, durationMs: 2 };
      expect(await queue.database.db.searchEvaluation.findMany({ where: { jobId: job.id } })).toEqual([
        { jobId: job.id, tenantId: job.tenant_id, ...searched },
      ]);
    }
    const [evolution, ...others] = await queue.database.db.evolution.findMany({
      where: { newBaseModelVersionId: fleet.newVersionId },
    });
    expect(evolution).toMatchObject({ state: 'ready', rank: 8, drift: 0.1 });
    expect(others).toEqual([]);
    const versions = await queue.database.db.baseModelVersion.findMany({ where: { baseModelId: fleet.baseModelId } });
    expect(versions.map((version) => version.state)).toEqual(['verified', 'verified']);
  });

  test('an incompatible base fails the rollout and lists the differences', async () => {
    await useFleetOf(1);
    await work();
    const id = await start({ hiddenSize: 128 });
    const rollout = await ended(id, 'failed');
    expect(rollout.error).toMatchObject({
      code: 'incompatible_base_model_versions',
      differences: [{ field: 'hidden_size', old: 64, new: 128 }],
    });
    expect(rollout.evolutions).toMatchObject([
      {
        state: 'failed',
        advice: {
          verdict: 'incompatible',
          reasons: [{ code: 'differs:hidden_size', message: 'hidden_size: 64 → 128' }],
        },
      },
    ]);
    expect(await jobsOf(id)).toEqual([]);
  });

  test('a base whose files changed since they were verified is refused', async () => {
    await useFleetOf(1);
    await queue.database.db.baseModelVersion.update({
      where: { id: fleet.newVersionId },
      data: { state: 'verified', fingerprint: 'sha256:other' },
    });
    await work();
    const rollout = await ended(await start({}), 'failed');
    expect(rollout.error).toMatchObject({
      code: 'base_model_version_changed',
      base_model_version_id: fleet.newVersionId,
    });
  });

  test('not ready keeps the old version and the best candidate', async () => {
    await useFleetOf(1);
    await work();
    const id = await start({ outcome: 'not_ready' });
    await ended(id, 'completed');
    for (const job of await jobsOf(id)) {
      expect(job).toMatchObject({
        state: 'not_ready',
        ttr_ms: null,
        published_version_id: null,
        error: { code: 'gate_not_reached' },
      });
      expect(job.metric).toMatchObject({ published: null, best: 0.75 });
      await fleet.artifacts.verify((job.error as { candidate_digest?: string } | null)?.candidate_digest ?? '');
      expect(await queue.database.db.adapterVersion.count({ where: { adapterId: job.adapter_id } })).toBe(1);
    }
  });

  test('a permanent fault fails the job at once', async () => {
    await useFleetOf(1);
    await work();
    const id = await start({ outcome: 'permanent' });
    await ended(id, 'completed');
    for (const job of await jobsOf(id)) {
      expect(job).toMatchObject({
        state: 'failed',
        attempt: 1,
        error: { code: 'invalid_dataset', message: 'dataset row 3 cannot be tokenized' },
      });
    }
  });

  test('a training process that is killed costs a try, not the job', async () => {
    await useFleetOf(2);
    await work();
    const id = await start({ crashOnce: path.join(fleet.folder, 'crashed') });
    await ended(id, 'completed');
    const all = await jobsOf(id);
    expect(all.map((job) => job.state)).toEqual(['ready', 'ready']);
    expect(all.map((job) => job.attempt).sort()).toEqual([1, 2]);
  });

  test('a better version after readiness is a second version, and the clock does not run on', async () => {
    await useFleetOf(1);
    await work();
    const id = await start({ publications: 3 });
    await ended(id, 'completed');
    for (const job of await jobsOf(id)) {
      expect(job.metric.published).toBeCloseTo(0.87);
      expect(job.metric.best).toBe(job.metric.published);
      const versions = await queue.database.db.adapterVersion.findMany({
        where: { jobId: job.id },
        orderBy: { number: 'asc' },
      });
      expect(versions.map((version) => version.number)).toEqual([2, 3, 4]);
      expect(job.published_version_id).toBe(versions[2]!.id);
    }
  });

  test('cancelling reaches a running job and the queued ones', async () => {
    await useFleetOf(2);
    await work();
    const id = await start({ hang: true });
    await eventually('a job runs', async () => (await jobsOf(id)).some((job) => job.state === 'fine_tuning'));
    const cancelled = await rollouts().cancel(id);
    expect(cancelled).toMatchObject({ state: 'cancelled', jobs: { cancelled: 2 } });
    // The device is released only after the running step has really stopped.
    const session = await training.acquire(AbortSignal.timeout(PATIENCE_MS));
    session.release();
    await eventually('the queue is empty', async () => (await queue.producer.count('adaptations')) === 0);
    expect((await jobsOf(id)).map((job) => job.state)).toEqual(['cancelled', 'cancelled']);
    expect(await queue.database.db.adapterVersion.count({ where: { baseModelVersionId: fleet.newVersionId } })).toBe(0);
  });

  test('cancelling one running job lets the others go on, also where its training hears nothing', async () => {
    await useFleetOf(2);
    await work();
    const id = await start({ hang: true, deaf: true });
    const running = await eventually('a job runs', async () =>
      (await jobsOf(id)).find((job) => job.state === 'fine_tuning'),
    );
    await behave({});
    expect(await jobs().cancel(running.id, null)).toMatchObject({ state: 'cancelled' });
    const rollout = await ended(id, 'completed');
    expect(rollout.jobs).toEqual({ ready: 1, cancelled: 1 });
    await expect(access(path.join(config.dataDir, 'checkpoints', running.id))).rejects.toThrow('ENOENT');
  });

  test('a worker that stops gives its job back, and the next one ends it', async () => {
    await useFleetOf(2);
    const first = await work();
    const id = await start({ hang: true });
    await eventually('a job runs', async () => (await jobsOf(id)).some((job) => job.state === 'fine_tuning'));
    await first.stop();
    expect((await jobsOf(id)).map((job) => job.state)).toEqual(['queued', 'queued']);
    await behave({});
    await work();
    const rollout = await ended(id, 'completed');
    expect(rollout.jobs).toEqual({ ready: 2 });
  });

  const WORKER_DIED =
    'a job whose worker died is taken up when its lease has run out, and what it has left of ended jobs is removed';
  test(WORKER_DIED, async () => {
    await useFleetOf(2);
    const id = await start({});
    const worker = await work();
    await ended(id, 'completed');
    await worker.stop();
    const [job, other] = await jobsOf(id);
    const left = path.join(config.dataDir, 'checkpoints', other!.id);
    await mkdir(left, { recursive: true });
    // Imitates the job of a killed worker: running, with a lease, and no longer in the queue.
    await queue.database.db.rollout.update({ where: { id }, data: { state: 'adapting', finishedAt: null } });
    await queue.database.db.$executeRaw`
      UPDATE jobs SET state = 'fine_tuning', phase = 'fine_tune', ttr_ms = NULL, ready_at = NULL, finished_at = NULL,
        phase_since = clock_timestamp(), lease_owner = 'dead',
          lease_expires_at = clock_timestamp() + interval '400 milliseconds'
      WHERE id = ${job!.id}`;
    await work();
    await expect(access(left)).rejects.toThrow('ENOENT');
    await ended(id, 'completed');
    const after = await jobs().get(job!.id, null);
    expect(after).toMatchObject({ state: 'ready', attempt: job!.attempt + 1 });
    expect(after.phases.queue_wait).toBeGreaterThan(job!.phases.queue_wait + 360);
    expect(Math.abs(Object.values(after.phases).reduce((a, b) => a + b, 0) - after.ttr_ms!)).toBeLessThan(1);
    // The candidate was published before the worker died, so it is not published again.
    expect(after.published_version_id).toBe(job!.published_version_id);
    expect(await queue.database.db.adapterVersion.count({ where: { jobId: job!.id } })).toBe(1);
  });
});

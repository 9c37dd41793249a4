import { copyFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../../../src/platform/config/config.ts';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { jobServices } from '../support/job-services.ts';
import { createRolloutService } from '../../../src/fleet/rollouts/index.ts';
import { requestOutcomes } from '../../../src/fleet/outcomes/index.ts';
import { MemoryCheck } from '../../../workers/adaptations/memory-check.ts';
import { startWorker, type RunningWorker } from '../../../workers/start/start-worker.ts';
import { createTrainingProcess, type TrainingProcess } from '../../../workers/training/training-process.ts';
import { randomBase } from '../../unit/engine/support/random-model.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { eventually } from '../../eventually.ts';
import { createTestQueue, logger, type TestQueue } from '../queue/test-queue.ts';
import { WORKER_TIMES } from '../queue/worker-times.ts';

const ENTRY = fileURLToPath(new URL('./scripted-training.ts', import.meta.url));
const BASE = path.join(import.meta.dirname, '../../../examples/demo-family/v1');

let queue: TestQueue;
let training: TrainingProcess;
let fleet: Fleet;
const workers: RunningWorker[] = [];

beforeAll(async () => {
  queue = await createTestQueue();
  training = createTrainingProcess({ logger, entry: ENTRY });
});
beforeEach(async () => {
  fleet = await createFleet(queue.database.db, { tenants: 1, adapters: 2 });
  const version = await queue.database.db.baseModelVersion.findUniqueOrThrow({ where: { id: fleet.newVersionId } });
  await copyFile(path.join(BASE, 'config.json'), path.join(version.path, 'config.json'));
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

async function work(memory: string): Promise<RunningWorker> {
  const { backend, producer, database } = queue;
  const config = loadConfig({
    READAPT_DATA_DIR: path.join(fleet.folder, 'data'),
    DATABASE_URL: database.url,
    READAPT_MEMORY: memory,
  });
  const deps = { db: database.db, artifacts: fleet.artifacts, backend, producer, training, logger };
  const worker = await startWorker(config, deps, { ...WORKER_TIMES, askAgainMs: 100 });
  workers.push(worker);
  return worker;
}

const jobsOf = async (rolloutId: string) => {
  const service = jobServices({ db: queue.database.db, producer: queue.producer });
  return (await service.list({ rollout_id: rolloutId }, null)).data;
};

test('a worker leaves jobs that cannot fit to one with more memory, and their rows say why they wait', async () => {
  await fleet.behave({ publications: 1 });
  const rollouts = createRolloutService({ db: queue.database.db, producer: queue.producer });
  const small = await work('256MiB');
  const { id } = await rollouts.create({ base_model_version_id: fleet.newVersionId, options: {} });
  const waiting = await eventually('both jobs say why they wait', async () => {
    const all = await jobsOf(id);
    return all.length === 2 && all.every(({ error }) => error !== null) && all;
  });
  for (const job of waiting) {
    expect(job.state).toBe('queued');
    expect(job.error).toMatchObject({
      code: 'insufficient_memory',
      detail: expect.stringMatching(
        /^this job needs at least 0\.3 GiB \(base 0\.0, process 0\.3\), this worker has 0\.3 GiB/,
      ),
    });
  }
  // Jobs too large for this worker do not block those that it can run.
  const { db } = queue.database;
  await fleet.behaveOnOld({});
  const versions = await db.adapterVersion.findMany({ where: { adapterId: { in: fleet.adapters } } });
  await withTransaction(db, async (tx) => {
    const task = { gate: { kind: 'relative', margin: 0.02 }, datasetId: 'any' };
    for (const version of versions)
      await requestOutcomes(tx, task, { tenantId: version.tenantId, versionIds: [version.id] });
  });
  await eventually('the old versions are measured', async () => (await db.outcomeRequest.count()) === 0);
  expect((await jobsOf(id)).map(({ state }) => state)).toEqual(['queued', 'queued']);
  await small.stop();
  workers.pop();

  await work('8GiB');
  const ended = await eventually('both jobs are ready', async () => {
    const all = await jobsOf(id);
    return all.every(({ state }) => state === 'ready') && all;
  });
  expect(ended.map(({ error }) => error)).toEqual([null, null]);
});

test('a refused job has no more hope after ten minutes', () => {
  let now = 0;
  const available = { bytes: 2 ** 28, source: 'READAPT_MEMORY' };
  const check = new MemoryCheck({ available, precision: 'f32' }, () => now);
  const reason = check.objectionTo(randomBase().config);
  expect(reason).toContain('this worker has 0.3 GiB (READAPT_MEMORY)');
  expect([check.refuse('job', reason!), check.refuse('job', reason!)]).toEqual([true, false]);
  now = 10 * 60_000 - 1;
  expect(check.isHopeless('job')).toBe(false);
  now = 10 * 60_000;
  expect([check.isHopeless('job'), check.isHopeless('other')]).toEqual([true, false]);
  expect(
    new MemoryCheck({ available: { ...available, bytes: 2 ** 33 }, precision: 'f32' }).objectionTo(randomBase().config),
  ).toBeNull();
});

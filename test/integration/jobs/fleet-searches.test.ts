import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/config.ts';
import { Prisma } from '../../../src/lib/database.ts';
import { createRolloutService } from '../../../src/modules/rollouts/index.ts';
import { adaptationRepository } from '../../../workers/adaptations/adaptation.repository.ts';
import { createTrainingProcess, type TrainingProcess } from '../../../workers/training/training-process.ts';
import { startWorker, type RunningWorker } from '../../../workers/main.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { eventually } from '../../eventually.ts';
import { createTestQueue, logger, type TestQueue } from '../queue/test-queue.ts';

const ENTRY = fileURLToPath(new URL('./scripted-training.ts', import.meta.url));

let queue: TestQueue;
let training: TrainingProcess;
let fleet: Fleet;
let worker: RunningWorker;

beforeAll(async () => {
  queue = await createTestQueue();
  training = createTrainingProcess({ logger, entry: ENTRY });
  fleet = await createFleet(queue.database.db, { tenants: 2, adapters: 3 });
  const config = loadConfig({ READAPT_DATA_DIR: path.join(fleet.folder, 'data'), DATABASE_URL: queue.database.url });
  const { backend, producer, database } = queue;
  worker = await startWorker(config, {
    db: database.db,
    artifacts: fleet.artifacts,
    backend,
    producer,
    training,
    logger,
  });
});
afterAll(async () => {
  await worker.stop();
  await training.stop();
  await fleet.remove();
  await queue.close();
});

test('a job is given the searches of the jobs that had finished in its rollout before it was started', async () => {
  const { db } = queue.database;
  await fleet.behave({});
  const rollouts = createRolloutService({ db, producer: queue.producer });
  const { id } = await rollouts.create({ base_model_version_id: fleet.newVersionId, options: { control: 'all' } });
  await eventually('rollout is completed', async () => (await rollouts.get(id, null)).state === 'completed');
  const jobs = await db.job.findMany({ where: { rolloutId: id }, orderBy: { startedAt: 'asc' } });
  const given = await Promise.all(
    jobs.map(async (job) => adaptationRepository.fleetSearches(db, (await adaptationRepository.load(db, job.id))!)),
  );
  const earlier = jobs.map(
    (job) => jobs.filter(({ kind, finishedAt }) => kind === 'adaptation' && finishedAt! <= job.startedAt!).length,
  );
  // There is one device, so jobs run one after the other, controls last.
  expect(earlier).toEqual([0, 1, 2, 3, 3, 3]);
  expect(given.map((searches) => searches.length)).toEqual(earlier);
  expect(given.flat().every((search) => search.length === 1)).toBe(true);
  expect(given.at(-1)![0]).toEqual([{ alpha: 1, beta: -1, rows: 16, loss: 0.5 }]);
  const stored = await db.searchEvaluation.findMany({ where: { jobId: jobs[0]!.id } });
  expect(stored).toEqual([
    {
      jobId: jobs[0]!.id,
      index: 0,
      tenantId: jobs[0]!.tenantId,
      fusionAlpha: 1,
      fusionBeta: -1,
      rows: 16,
      metric: 'loss',
      loss: 0.5,
      durationMs: 2,
    },
  ]);
});

test('a job that resumes is given the same searches, though another one has ended meanwhile', async () => {
  const { db } = queue.database;
  const [first, last] = await db.job.findMany({
    where: { kind: 'adaptation' },
    orderBy: { startedAt: 'asc' },
    take: 2,
  });
  const searches = async () => adaptationRepository.fleetSearches(db, (await adaptationRepository.load(db, last!.id))!);
  const given = await searches();
  expect(given).toHaveLength(1);
  // A job that started once, while the end of another one was written but not committed yet.
  const { finishedAt } = first!;
  await db.job.update({ where: { id: last!.id }, data: { fleetPrior: Prisma.DbNull } });
  await db.job.update({ where: { id: first!.id }, data: { finishedAt: null } });
  expect(await searches()).toEqual([]);
  await db.job.update({ where: { id: first!.id }, data: { finishedAt } });
  expect(await searches()).toEqual([]);
  await db.job.update({ where: { id: last!.id }, data: { fleetPrior: [first!.id] } });
  expect(await searches()).toEqual(given);
});

test('evaluations of unknown rows and searches from another base model version are left out', async () => {
  const { db } = queue.database;
  const last = await db.job.findFirstOrThrow({ where: { kind: 'adaptation' }, orderBy: { startedAt: 'desc' } });
  const searches = async (): Promise<number> =>
    (await adaptationRepository.fleetSearches(db, (await adaptationRepository.load(db, last.id))!)).length;
  expect(await searches()).toBe(2);
  const first = await db.job.findFirstOrThrow({ where: { rolloutId: last.rolloutId }, orderBy: { startedAt: 'asc' } });
  await db.searchEvaluation.updateMany({ where: { jobId: first.id }, data: { rows: 0 } });
  expect(await searches()).toBe(1);
  await db.adapterVersion.update({
    where: { id: last.sourceVersionId! },
    data: { baseModelVersionId: fleet.newVersionId },
  });
  expect(await searches()).toBe(0);
});

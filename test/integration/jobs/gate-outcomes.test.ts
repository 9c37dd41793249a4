import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadConfig } from '../../../src/platform/config/config.ts';
import { createRolloutService } from '../../../src/fleet/rollouts/index.ts';
import {
  adaptationRepository,
  NO_PENDING_MEASUREMENTS,
  type LoadedJob,
} from '../../../workers/adaptations/adaptation.repository.ts';
import { createTrainingProcess, type TrainingProcess } from '../../../workers/training/training-process.ts';
import { startWorker, type RunningWorker } from '../../../workers/start/start-worker.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { eventually } from '../../eventually.ts';
import { createTestQueue, logger, type TestQueue } from '../queue/test-queue.ts';

const ENTRY = fileURLToPath(new URL('./scripted-training.ts', import.meta.url));
/** Outcomes that the scripted training process reports for the old adapter and for its publications. */
const WATCHED = { digest: `sha256:${'9'.repeat(64)}`, values: [1, 0] };
const OLD = { digest: `sha256:${'0'.repeat(64)}`, value: 0.5, standardError: 0.25, values: [1, 0], watched: WATCHED };
const PUBLISHED = {
  ...OLD,
  digest: `sha256:${'1'.repeat(64)}`,
  values: [1, 1],
  watched: { ...WATCHED, values: [1, 1] },
};

let queue: TestQueue;
let training: TrainingProcess;
let fleet: Fleet;
let worker: RunningWorker;
let jobs: LoadedJob[];

beforeAll(async () => {
  queue = await createTestQueue();
  training = createTrainingProcess({ logger, entry: ENTRY });
  fleet = await createFleet(queue.database.db, { tenants: 1, adapters: 1 });
  const config = loadConfig({ READAPT_DATA_DIR: path.join(fleet.folder, 'data'), DATABASE_URL: queue.database.url });
  const { backend, producer, database } = queue;
  const { db } = database;
  worker = await startWorker(config, { db, artifacts: fleet.artifacts, backend, producer, training, logger });
  await fleet.behave({});
  const rollouts = createRolloutService({ db, producer });
  const { id } = await rollouts.create({ base_model_version_id: fleet.newVersionId, options: { control: 'all' } });
  await eventually('rollout is completed', async () => (await rollouts.get(id, null)).state === 'completed');
  const found = await db.job.findMany({ where: { rolloutId: id }, orderBy: { kind: 'asc' } });
  jobs = await Promise.all(found.map(async (job) => (await adaptationRepository.load(db, job.id))!));
});
afterAll(async () => {
  await worker.stop();
  await training.stop();
  await fleet.remove();
  await queue.close();
});

const laterJob = (sourceVersionId: string): LoadedJob => {
  const [job] = jobs as [LoadedJob];
  return { ...job, sourceVersionId, rollout: { ...job.rollout, acceptedAt: new Date(Date.now() + 1000) } };
};

test('what a rollout measures of the old versions it does not use itself', async () => {
  expect(jobs.map(({ kind }) => kind)).toEqual(['adaptation', 'control']);
  const given = await Promise.all(jobs.map((job) => adaptationRepository.oldOutcomes(queue.database.db, job)));
  expect(given).toEqual([null, null]);
});

test('a later rollout is given it, and what was measured of a version at its publication', async () => {
  const { db } = queue.database;
  const { sourceVersionId } = jobs[0]!;
  const published = await db.adapterVersion.findFirstOrThrow({ where: { jobId: jobs[0]!.id } });
  expect(await adaptationRepository.oldOutcomes(db, laterJob(sourceVersionId))).toEqual(OLD);
  expect(await adaptationRepository.oldOutcomes(db, laterJob(published.id))).toEqual(PUBLISHED);
});

test('a new measurement takes the place of the earlier one, and goes with its version', async () => {
  const { db } = queue.database;
  const { id, tenantId, sourceVersionId, strategy } = jobs[0]!;
  const { watched: _, ...onGate } = OLD;
  const anew = { ...onGate, value: 1, values: [1, 1, 1] };
  await db.$transaction((tx) =>
    adaptationRepository.insertMeasurements(
      tx,
      { id, tenantId, sourceVersionId, strategy, retriedAfter: 0 },
      { ...NO_PENDING_MEASUREMENTS, old: anew },
    ),
  );
  expect(await adaptationRepository.oldOutcomes(db, laterJob(sourceVersionId))).toEqual(anew);
  const published = await db.adapterVersion.findFirstOrThrow({ where: { jobId: id } });
  await db.adapterVersion.delete({ where: { id: published.id } });
  expect(await db.gateOutcomes.findMany()).toMatchObject([{ adapterVersionId: sourceVersionId, tenantId }]);
  expect(await db.negativeFlips.count()).toBe(0);
});

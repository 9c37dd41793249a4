import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { ArtifactStore, StoredArtifact } from '../../../src/platform/artifacts/artifact-store.ts';
import { registerArtifact } from '../../../src/platform/artifacts/index.ts';
import { loadConfig } from '../../../src/platform/config/config.ts';
import { withTransaction, type Database } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { jobServices } from '../support/job-services.ts';
import { createRolloutService, type RolloutOptions } from '../../../src/fleet/rollouts/index.ts';
import {
  createTrainingProcess,
  type TrainingProcess,
  type TrainingProcessOptions,
} from '../../../workers/training/training-process.ts';
import { startWorker, type RunningWorker } from '../../../workers/start/start-worker.ts';
import type { WorkerTimes } from '../../../workers/start/worker-options.ts';
import {
  createTinyFamily,
  removeTinyFamily,
  tasteDataset,
  toJsonl,
  type TinyFamily,
} from '../../unit/training/support/tiny-task.ts';
import { createFleet } from '../queue/fleet.ts';
import { eventually } from '../../eventually.ts';
import { createTestQueue, logger } from '../queue/test-queue.ts';
import { WORKER_TIMES } from '../queue/worker-times.ts';

type JobServices = ReturnType<typeof jobServices>;
type FleetJob = Awaited<ReturnType<JobServices['list']>>['data'][number];

/** Adapters of the tiny models in a real database, for a real worker with its real training process. */
export interface TinyFleet {
  readonly artifacts: ArtifactStore;
  readonly training: TrainingProcess;
  readonly db: Database;
  /** Service through which the API changes jobs. */
  readonly jobService: JobServices;
  /** Service through which the API changes rollouts. */
  readonly rollouts: ReturnType<typeof createRolloutService>;
  readonly family: TinyFamily;
  /** Folder of artifacts and checkpoints. */
  readonly dataDir: string;
  readonly newVersionId: string;
  startWorker(times?: WorkerTimes): Promise<RunningWorker>;
  /** Replaces the dataset of one adapter. */
  replaceData(adapter: number, rows: readonly object[]): Promise<void>;
  /** Starts a rollout (default: to the new base model version). @returns its identifier */
  begin(options: RolloutOptions, baseModelVersionId?: string): Promise<string>;
  jobs(rolloutId: string): Promise<FleetJob[]>;
  /** Waits until all jobs have ended. */
  ended(rolloutId: string): Promise<FleetJob[]>;
  /** Calls {@link begin} and then {@link ended}. */
  roll(options: RolloutOptions, baseModelVersionId?: string): Promise<FleetJob[]>;
  close(): Promise<void>;
}

export interface TinyFleetOptions {
  adapters: number;
  training?: Omit<TrainingProcessOptions, 'logger'>;
  /** Settings of the worker besides its folders. */
  env?: Record<string, string>;
}

export async function createTinyFleet(options: TinyFleetOptions): Promise<TinyFleet> {
  const { adapters, training: trainingOptions, env } = options;
  const family = await createTinyFamily();
  const queue = await createTestQueue();
  const { db } = queue.database;
  const fleet = await createFleet(db, { tenants: 1, adapters });
  await db.baseModelVersion.update({ where: { id: fleet.oldVersionId }, data: { path: family.oldBase } });
  await db.baseModelVersion.update({ where: { id: fleet.newVersionId }, data: { path: family.newBase } });
  const storeRows = async (rows: readonly object[]): Promise<StoredArtifact> => {
    const file = path.join(family.folder, 'rows.jsonl');
    await writeFile(file, toJsonl(rows));
    return fleet.artifacts.putFile(file, 'dataset');
  };
  const dataset = await storeRows(tasteDataset({ search: 16, gate: 32 }));
  const adapter = await fleet.artifacts.putFolder(family.adapter, 'adapter');
  await withTransaction(db, async (tx) => {
    for (const stored of [dataset, adapter]) await registerArtifact(tx, fleet.artifacts, stored);
    await tx.dataset.updateMany({ data: { artifactDigest: dataset.digest } });
    await tx.adapterVersion.updateMany({ data: { artifactDigest: adapter.digest } });
    // No adapter can reach this target, so every job uses its whole budget.
    await tx.adapter.updateMany({ data: { metric: 'loss', gate: { kind: 'absolute', target: -1 } } });
  });
  const training = createTrainingProcess({ logger, bases: { threads: 1 }, ...trainingOptions });
  const rollouts = createRolloutService({ db, producer: queue.producer });
  const jobService = jobServices({ db, producer: queue.producer });
  const folders = { READAPT_DATA_DIR: path.join(fleet.folder, 'data'), DATABASE_URL: queue.database.url };
  const config = loadConfig({ ...env, ...folders });
  const workers: RunningWorker[] = [];

  const jobs = async (rolloutId: string): Promise<FleetJob[]> =>
    (await jobService.list({ rollout_id: rolloutId }, null)).data;
  const ended = (rolloutId: string): Promise<FleetJob[]> =>
    eventually('all jobs have ended', async () => {
      const all = await jobs(rolloutId);
      return all.length === adapters && all.every((job) => job.finished_at !== null) && all;
    });
  const begin: TinyFleet['begin'] = async (options, baseModelVersionId = fleet.newVersionId) =>
    (await rollouts.create({ base_model_version_id: baseModelVersionId, options })).id;
  return {
    artifacts: fleet.artifacts,
    training,
    db,
    jobService,
    rollouts,
    family,
    dataDir: config.dataDir,
    newVersionId: fleet.newVersionId,
    jobs,
    ended,
    begin,
    roll: async (options, baseModelVersionId) => {
      const id = await begin(options, baseModelVersionId);
      await ended(id);
      // Another rollout can start only after the report's baselines are measured too.
      await eventually('the rollout is completed', async () => (await rollouts.get(id, null)).state === 'completed');
      return jobs(id);
    },
    replaceData: async (index, rows) => {
      const stored = await storeRows(rows);
      await withTransaction(db, async (tx) => {
        await registerArtifact(tx, fleet.artifacts, stored);
        const id = newId('dataset');
        const splits = { training: 1, search: 0, gate: 0 };
        const owner = { tenantId: fleet.tenants[0]!, name: id };
        const promptsOnly = !rows.some((row) => 'completion' in row);
        const content = { artifactDigest: stored.digest, rows: 1, bytes: 1n, splits, promptsOnly };
        await tx.dataset.create({ data: { id, ...owner, ...content } });
        await tx.adapter.update({ where: { id: fleet.adapters[index]! }, data: { datasetId: id } });
      });
    },
    startWorker: async (times = {}) => {
      const { backend, producer } = queue;
      const worker = await startWorker(
        config,
        { db, artifacts: fleet.artifacts, backend, producer, training, logger },
        { ...WORKER_TIMES, ...times },
      );
      workers.push(worker);
      return worker;
    },
    close: async () => {
      for (const worker of workers) await worker.stop();
      await training.stop();
      await queue.close();
      await fleet.remove();
      await removeTinyFamily(family);
    },
  };
}

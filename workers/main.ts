import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { chooseDevice } from '../core/engine/devices/choose-device.ts';
import { largestMemory } from '../core/engine/memory/process-memory.ts';
import { createFilesystemStore } from '../src/artifacts/index.ts';
import type { ArtifactStore } from '../src/artifacts/artifact-store.ts';
import type { Config } from '../src/config/config.ts';
import { gibibytes } from '../src/config/int8-cache-size.ts';
import { requireDatabase, requireRedis } from '../src/config/reachable.ts';
import { nameDataFolder } from '../src/config/setup-error.ts';
import {
  combineHandlers,
  createJobProducer,
  createQueueBackend,
  createSweeper,
  startConsumer,
  type QuarantineOptions,
  type JobProducer,
  type QueueBackend,
} from '../src/jobs/index.ts';
import { artifactCollectionTask } from '../src/housekeeping/collection/artifact-collection.ts';
import { collectionTask } from '../src/housekeeping/collection/collection.ts';
import { createHousekeeper } from '../src/housekeeping/housekeeper.ts';
import { retentionTasks } from '../src/housekeeping/retention.ts';
import { createClosing, type Closing } from '../src/lib/closing.ts';
import { createDatabase, type Database } from '../src/lib/database.ts';
import { createLogger, type Logger } from '../src/lib/logger.ts';
import { jobRecoverySource } from '../src/modules/jobs/index.ts';
import { rolloutRecoverySource } from '../src/modules/rollouts/index.ts';
import { adaptationHandlers, removeStaleCheckpoints } from './adaptations/adaptation.worker.ts';
import { baselinesHandlers } from './adaptations/baselines.worker.ts';
import { rolloutHandlers } from './rollouts/rollout.worker.ts';
import { createTrainingProcess, type TrainingProcess } from './training/training-process.ts';

/** Resources of a worker. Those that are left out are made from the configuration and closed when the worker stops. */
export interface WorkerDependencies {
  db?: Database;
  artifacts?: ArtifactStore;
  backend?: QueueBackend;
  producer?: JobProducer;
  training?: TrainingProcess;
  logger?: Logger;
}

/** Times in milliseconds. The defaults are for production; tests shorten them. */
export interface WorkerTimes {
  leaseMs?: number;
  heartbeatMs?: number;
  lockMs?: number;
  stalledCheckMs?: number;
  sweepMs?: number;
  /** Time until the first round of the housekeeping. */
  housekeepingDelayMs?: number;
  quarantine?: QuarantineOptions;
}

export interface RunningWorker {
  /** Returns running jobs to the queue, where they resume from their checkpoints, and ends the training process. */
  stop(): Promise<void>;
}

/**
 * Starts a worker: the consumers of both queues, the sweeper, and one training process for the device.
 * @throws Error if `config.databaseUrl` is null and `deps.db` or `deps.backend` is missing; SetupError that names the setting
 *   if the database, Redis or the data folder cannot be used; DeviceUnavailableError
 */
export async function startWorker(
  config: Config,
  deps: WorkerDependencies = {},
  times: WorkerTimes = {},
): Promise<RunningWorker> {
  const logger = (deps.logger ?? createLogger({ level: config.logLevel })).child({ process: 'worker' });
  const closing = createClosing(logger);
  try {
    await start(config, { ...deps, logger }, times, closing);
  } catch (error) {
    await closing.run();
    throw nameDataFolder(error, config.dataDir);
  }
  logger.info('worker started');
  return { stop: () => closing.run() };
}

async function start(
  config: Config,
  deps: WorkerDependencies & { logger: Logger },
  times: WorkerTimes,
  closing: Closing,
): Promise<void> {
  const { logger } = deps;
  const opened = <T>(name: string, resource: T, close: (resource: T) => Promise<unknown>): T => {
    closing.add(name, () => close(resource));
    return resource;
  };
  if (deps.db === undefined) await requireDatabase(databaseUrlOf(config));
  if (deps.backend === undefined && config.redisUrl !== null) await requireRedis(config.redisUrl);
  const db =
    deps.db ??
    opened('database', createDatabase(databaseUrlOf(config), { poolSize: config.workerConnections }), (own) =>
      own.$disconnect(),
    );
  const backend = deps.backend ?? createQueueBackend({ databaseUrl: databaseUrlOf(config), redisUrl: config.redisUrl });
  const producer =
    deps.producer ?? opened('queue', await createJobProducer({ db, backend, logger }), (own) => own.close());
  const artifacts = deps.artifacts ?? (await createFilesystemStore(path.join(config.dataDir, 'artifacts')));
  const training =
    deps.training ?? opened('training process', await startTraining(config, logger), (own) => own.stop());
  const checkpoints = path.join(config.dataDir, 'checkpoints');
  await mkdir(checkpoints, { recursive: true });
  await removeStaleCheckpoints(db, checkpoints);

  const shared = { db, artifacts, producer, training, quotas: config.quotas, ...times };
  const jobs = { checkpoints, measuredTokens: config.measuredTokens };
  const handlers = combineHandlers([
    rolloutHandlers(shared),
    baselinesHandlers({ ...shared, ...jobs }),
    adaptationHandlers({
      ...shared,
      ...jobs,
      memory: { available: largestMemory(config.memoryBytes), precision: config.precision },
    }),
  ]);
  const sources = [rolloutRecoverySource(db), jobRecoverySource(db)];
  const sweeper = createSweeper({ db, producer, sources, logger, intervalMs: times.sweepMs });
  const consumer = await startConsumer({ backend, handlers, logger, ...times });
  closing.add('consumer', () => consumer.stop());
  sweeper.start();
  closing.add('sweeper', () => sweeper.stop());
  const tasks = [
    ...retentionTasks({ db, ...config }),
    collectionTask({ db, producer, ...config }),
    artifactCollectionTask({ db, artifacts }),
    { name: 'checkpoints', run: async () => ({ folders: await removeStaleCheckpoints(db, checkpoints) }) },
  ];
  const housekeeper = createHousekeeper({ tasks, logger, delayMs: times.housekeepingDelayMs });
  housekeeper.start();
  closing.add('housekeeping', () => housekeeper.stop());
}

/** @throws DeviceUnavailableError if the device of the configuration does not work here */
async function startTraining(config: Config, logger: Logger): Promise<TrainingProcess> {
  const { precision, threads, graphCacheDir, int8CacheGb, memoryBytes } = config;
  const int8CacheBytes = gibibytes(int8CacheGb);
  const { device, reason } = await chooseDevice(config.device, { precision });
  logger.info({ device, precision, reason }, 'device chosen');
  const bases = { device, precision, threads, graphCacheDir, int8CacheBytes, memoryBytes };
  return createTrainingProcess({ logger, bases });
}

function databaseUrlOf(config: Config): string {
  if (config.databaseUrl !== null) return config.databaseUrl;
  throw new Error('DATABASE_URL is not set, expected the address of the database that the service uses');
}

import { mkdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Registry } from 'prom-client';
import { chooseDevice } from '../core/engine/devices/choose-device.ts';
import type { Device } from '../core/options/devices.ts';
import { largestMemory } from '../core/engine/memory/process-memory.ts';
import { packageVersion } from '../core/installation/package-path.ts';
import { openArtifactStore } from '../src/artifacts/index.ts';
import type { ArtifactStore } from '../src/artifacts/artifact-store.ts';
import type { Config } from '../src/config/config.ts';
import { gibibytes } from '../src/config/int8-cache-size.ts';
import { requireDatabase, requireRedis } from '../src/config/reachable.ts';
import { nameDataFolder, SetupError } from '../src/config/setup-error.ts';
import { pendingMigrations } from '../src/embedded/index.ts';
import {
  combineHandlers,
  createJobProducer,
  createQueueBackend,
  createSweeper,
  LOCK_MS,
  startConsumer,
  type Consumer,
  type ConsumerObserver,
  type QuarantineOptions,
  type JobProducer,
  type QueueBackend,
} from '../src/jobs/index.ts';
import { artifactCollectionTask } from '../src/housekeeping/collection/artifact-collection.ts';
import { uploadCollectionTask } from '../src/housekeeping/collection/upload-collection.ts';
import { collectionTask } from '../src/housekeeping/collection/collection.ts';
import { createHousekeeper } from '../src/housekeeping/housekeeper.ts';
import { retentionTasks } from '../src/housekeeping/retention.ts';
import { createClosing, type Closing } from '../src/lib/closing.ts';
import { clockProblem } from '../src/lib/clock/clock.ts';
import { readClock } from '../src/lib/clock/clock.repository.ts';
import { createDatabase, type Database } from '../src/lib/database.ts';
import { newId } from '../src/lib/ids.ts';
import { createLogger, type Logger } from '../src/lib/logger.ts';
import { forecastRecoverySource } from '../src/modules/forecasts/index.ts';
import { startTracing } from '../src/lib/tracing/tracing.ts';
import { countStoreFaults, createProcessRegistry, registerPoolMetrics } from '../src/modules/metrics/index.ts';
import { jobRecoverySource } from '../src/modules/jobs/index.ts';
import { outcomesRecoverySource } from '../src/modules/outcomes/index.ts';
import { rollbackRecoverySource } from '../src/modules/rollbacks/index.ts';
import { provisionalRecoverySource, rolloutRecoverySource } from '../src/modules/rollouts/index.ts';
import { adaptationHandlers, removeStaleCheckpoints } from './adaptations/adaptation.worker.ts';
import { baselinesHandlers } from './adaptations/baselines.worker.ts';
import { MemoryCheck } from './adaptations/memory-check.ts';
import { BaseFitness } from './base-fitness.ts';
import { openLocalBases } from './bases/open-local-bases.ts';
import { outcomesHandlers } from './outcomes/outcomes.worker.ts';
import { createDraining, type Draining } from './draining.ts';
import { startMetricsServer } from './metrics/metrics-server.ts';
import { createWorkerMetrics } from './metrics/worker-metrics.ts';
import { provisionHandlers } from './provisional/provision.worker.ts';
import { createRegistration } from './registration.ts';
import { forecastHandlers } from './rollouts/forecast.worker.ts';
import { rolloutHandlers } from './rollouts/rollout.worker.ts';
import { createTrainingProcess, type TrainingProcess } from './training/training-process.ts';

/** Resources of a worker. Missing ones are made from the configuration and closed when the worker stops. */
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
  /** Interval of the heartbeats in the list of workers. */
  registrationMs?: number;
}

export interface RunningWorker {
  /** Ends the running job, takes no other, and resolves `drained`. The worker still has to be stopped. */
  drain(): void;
  /** Resolves when the worker was drained, by this process or by the operator. */
  readonly drained: Promise<void>;
  /** Port on which it serves its metrics; null if it does not. */
  readonly metricsPort: number | null;
  /** Returns running jobs to the queue, where they resume from their checkpoints, and ends the training process. */
  stop(): Promise<void>;
}

/**
 * Starts a worker: the consumers of both queues, the sweeper, and one training process for the device.
 * @throws Error if `config.databaseUrl` is null and `deps.db` or `deps.backend` is missing; SetupError that names the
 * setting if the database, Redis or the data folder cannot be used; DeviceUnavailableError
 */
export async function startWorker(
  config: Config,
  deps: WorkerDependencies = {},
  times: WorkerTimes = {},
): Promise<RunningWorker> {
  const logger = (deps.logger ?? createLogger({ level: config.logLevel })).child({ process: 'worker' });
  const closing = createClosing(logger);
  try {
    const draining = await start(config, { ...deps, logger }, times, closing);
    logger.info('worker started');
    return { ...draining, stop: () => closing.run() };
  } catch (error) {
    await closing.run();
    throw nameDataFolder(error, config.dataDir);
  }
}

async function start(
  config: Config,
  deps: WorkerDependencies & { logger: Logger },
  times: WorkerTimes,
  closing: Closing,
): Promise<Omit<RunningWorker, 'stop'>> {
  const { logger } = deps;
  const opened = <T>(name: string, resource: T, close: (resource: T) => Promise<unknown>): T => {
    closing.add(name, () => close(resource));
    return resource;
  };
  if (deps.db === undefined) await requireDatabase(databaseUrlOf(config));
  if (deps.backend === undefined && config.redisUrl !== null) await requireRedis(config.redisUrl);
  // Not before: a worker that starts while its stack ends would bring back a temporary folder that was removed.
  await mkdir(config.dataDir, { recursive: true });
  const db =
    deps.db ??
    opened('database', createDatabase(databaseUrlOf(config), { poolSize: config.workerConnections }), (own) =>
      own.$disconnect(),
    );
  const backend = deps.backend ?? createQueueBackend({ databaseUrl: databaseUrlOf(config), redisUrl: config.redisUrl });
  const producer =
    deps.producer ?? opened('queue', await createJobProducer({ db, backend, logger }), (own) => own.close());
  if (deps.db === undefined) await requireSchema(databaseUrlOf(config));
  const registry = config.workerMetricsPort === null ? new Registry() : createProcessRegistry();
  registerPoolMetrics(registry, db);
  const artifacts = countStoreFaults(
    deps.artifacts ?? (await openArtifactStore({ db, config, begins: false, logger })),
    registry,
  );
  const { training, device, loaded } =
    deps.training === undefined
      ? await startTraining(config, logger)
      : { training: deps.training, device: config.device, loaded: (): readonly string[] => [] };
  if (deps.training === undefined) closing.add('training process', () => training.stop());
  const local = await openLocalBases({ db, config, artifacts, loaded, logger });
  closing.add('fetches', () => local.close());
  const checkpoints = path.join(config.dataDir, 'checkpoints');
  await mkdir(checkpoints, { recursive: true });
  await removeStaleCheckpoints(db, checkpoints);

  const tracing = await startTracing({
    endpoint: config.otlpEndpoint,
    service: 'readapt-worker',
    version: packageVersion(),
  });
  closing.add('tracing', () => tracing.stop());
  const metrics = createWorkerMetrics({ registry, db, logger, device });
  const { host, workerMetricsPort: port } = config;
  const server = port === null ? null : await startMetricsServer(registry, { host, port });
  if (server !== null) closing.add('metrics', () => server.close());
  const workerId = newId('worker');
  const fitness = new BaseFitness(times.quarantine, () => registration.changed());
  const memory = largestMemory(config.memoryBytes);
  const check = new MemoryCheck({ available: memory, precision: config.precision });
  const { clockToleranceMs } = config;
  let wrongClock = clockProblem(await readClock(db), clockToleranceMs) ?? null;
  let consumer: Consumer | null = null;
  let draining: Draining | null = null;
  const registration = createRegistration({
    db,
    logger,
    worker: {
      id: workerId,
      host: os.hostname(),
      pid: process.pid,
      version: packageVersion(),
      device,
      memoryBytes: Number.isFinite(memory.bytes) ? BigInt(Math.floor(memory.bytes)) : null,
    },
    unreadableBases: () => fitness.unreadable,
    loadedFolders: () => loaded().map(local.nameOf),
    onDrain: (wanted) => draining?.follow(wanted),
    onLift: () => consumer?.liftQuarantine(),
    onClock: (reading) => {
      const problem = clockProblem(reading, clockToleranceMs);
      if (problem === undefined) return;
      wrongClock = problem;
      consumer?.setClockProblem(problem);
    },
    intervalMs: times.registrationMs,
  });
  const shared = {
    db,
    artifacts,
    producer,
    training,
    tracing,
    fitness,
    local: local.bases,
    quotas: config.quotas,
    ...times,
  };
  const jobs = { checkpoints, measuredTokens: config.measuredTokens };
  const handlers = combineHandlers([
    rolloutHandlers(shared),
    forecastHandlers(shared),
    provisionHandlers(shared),
    baselinesHandlers({ ...shared, ...jobs }),
    outcomesHandlers({ ...shared, ...jobs, check }),
    adaptationHandlers({
      ...shared,
      ...jobs,
      workerId,
      check,
      metrics,
      onTrained: registration.trained,
    }),
  ]);
  const sources = [
    rolloutRecoverySource(db, producer, config.quotas),
    forecastRecoverySource(db),
    jobRecoverySource(db),
    provisionalRecoverySource(db),
    outcomesRecoverySource(db),
    rollbackRecoverySource({ db }),
  ];
  const { lockMs = LOCK_MS } = times;
  const queueClock = backend.kind === 'postgres' ? { lockMs, toleranceMs: clockToleranceMs } : null;
  const sweeper = createSweeper({
    db,
    producer,
    sources,
    logger,
    intervalMs: times.sweepMs,
    queueClock,
    onSwept: metrics.swept,
  });
  closing.add('registration', () => registration.stop());
  const observer = observeBoth(registration.observer, metrics.consumer);
  const started = await startConsumer({ backend, handlers, logger, observer, clockProblem: wrongClock, ...times });
  consumer = started;
  closing.add('consumer', () => started.stop());
  sweeper.start();
  closing.add('sweeper', () => sweeper.stop());
  const tasks = [
    ...retentionTasks({ db, ...config }),
    collectionTask({ db, producer, ...config }),
    uploadCollectionTask({ db }),
    artifactCollectionTask({ db, artifacts }),
    { name: 'checkpoints', run: async () => ({ folders: await removeStaleCheckpoints(db, checkpoints) }) },
  ];
  const housekeeper = createHousekeeper({
    tasks,
    logger,
    delayMs: times.housekeepingDelayMs,
    isUnfit: () => wrongClock !== null,
    onDone: metrics.housekept,
  });
  housekeeper.start();
  closing.add('housekeeping', () => housekeeper.stop());
  draining = createDraining({ consumer: started, logger, onChange: (is) => registration.draining(is) });
  await registration.start();
  return { drain: draining.drain, drained: draining.drained, metricsPort: server?.port ?? null };
}

function observeBoth(...observers: readonly ConsumerObserver[]): ConsumerObserver {
  return {
    begin: (id, name) => {
      const ends = observers.map((observer) => observer.begin(id, name));
      return (end, ms) => ends.forEach((ended) => ended(end, ms));
    },
    quarantine: (active) => observers.forEach((observer) => observer.quarantine(active)),
  };
}

/**
 * Checks that the database has all that this version needs.
 * @throws SetupError that says what to do
 */
async function requireSchema(url: string): Promise<void> {
  const pending = await pendingMigrations(url);
  if (pending.length === 0) return;
  throw new SetupError(
    'database_not_migrated',
    `the database lacks migrations that this version needs (${pending.join(', ')}): run \`readapt migrate\`, or start the API first`,
    { badInput: false },
  );
}

interface StartedTraining {
  readonly training: TrainingProcess;
  readonly device: Device;
  /** The folders of the bases that it has in memory. */
  loaded(): readonly string[];
}

/** @throws DeviceUnavailableError if the device of the configuration does not work here */
async function startTraining(config: Config, logger: Logger): Promise<StartedTraining> {
  const { precision, threads, graphCacheDir, int8CacheGb, memoryBytes, otlpEndpoint } = config;
  const int8CacheBytes = gibibytes(int8CacheGb);
  const { device, reason } = await chooseDevice(config.device, { precision });
  logger.info({ device, precision, reason }, 'device chosen');
  const bases = { device, precision, threads, graphCacheDir, int8CacheBytes, memoryBytes };
  let folders: readonly string[] = [];
  const onLoaded = (now: readonly string[]): void => void (folders = now);
  return { training: createTrainingProcess({ logger, bases, onLoaded, otlpEndpoint }), device, loaded: () => folders };
}

function databaseUrlOf(config: Config): string {
  if (config.databaseUrl !== null) return config.databaseUrl;
  throw new Error('DATABASE_URL is not set, expected the address of the database that the service uses');
}

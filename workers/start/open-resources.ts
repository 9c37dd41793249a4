import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { Registry } from 'prom-client';
import { chooseDevice } from '../../core/engine/devices/choose-device.ts';
import { packageVersion } from '../../core/installation/package-path.ts';
import type { DeviceChoice } from '../../core/options/devices.ts';
import type { ArtifactStore } from '../../src/platform/artifacts/artifact-store.ts';
import { openArtifactStore } from '../../src/platform/artifacts/index.ts';
import type { Config } from '../../src/platform/config/config.ts';
import { requireDatabase, requireRedis } from '../../src/platform/config/reachable.ts';
import { SetupError } from '../../src/platform/config/setup-error.ts';
import { pendingMigrations } from '../../src/platform/database/migrations.ts';
import {
  createQueueProducer,
  createQueueBackend,
  type QueueProducer,
  type QueueBackend,
} from '../../src/platform/queue/index.ts';
import type { Shutdown } from '../../src/lib/shutdown.ts';
import { createDatabase, type Database } from '../../src/platform/database/database.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { startTracing, type Tracing } from '../../src/platform/tracing/tracing.ts';
import { countStoreFaults, createProcessRegistry, registerPoolMetrics } from '../../src/operations/metrics/index.ts';
import { removeStaleCheckpoints } from '../adaptations/adaptation.handler.ts';
import { startMetricsServer } from '../metrics/metrics-server.ts';
import { createWorkerMetrics, type WorkerMetrics } from '../metrics/worker-metrics.ts';
import { createTrainingProcess, type TrainingProcess } from '../training/training-process.ts';
import type { WorkerDependencies } from './worker-options.ts';

type OpenDependencies = WorkerDependencies & { readonly logger: Logger };

/** Database, queue and artifact store, which a worker and the API both use. */
export interface Stores {
  readonly db: Database;
  readonly backend: QueueBackend;
  readonly producer: QueueProducer;
  readonly artifacts: ArtifactStore;
  readonly registry: Registry;
}

/**
 * Opens database, queue and artifact store, except those that the caller has passed in.
 * @throws SetupError if one of them cannot be used
 */
export async function openStores(config: Config, deps: OpenDependencies, closing: Shutdown): Promise<Stores> {
  const { logger } = deps;
  if (deps.db === undefined) await requireDatabase(databaseUrlOf(config));
  if (deps.backend === undefined && config.redisUrl !== null) await requireRedis(config.redisUrl);
  // Create the folder only now: a worker that starts while its stack shuts down would otherwise create the stack's
  // temporary folder again after its removal.
  await mkdir(config.dataDir, { recursive: true });
  const db = deps.db ?? openDatabase(config, closing);
  const backend = deps.backend ?? createQueueBackend({ databaseUrl: databaseUrlOf(config), redisUrl: config.redisUrl });
  const producer = deps.producer ?? (await openProducer({ db, backend, logger }, closing));
  if (deps.db === undefined) await requireSchema(databaseUrlOf(config));
  const registry = config.workerMetricsPort === null ? new Registry() : createProcessRegistry();
  registerPoolMetrics(registry, db);
  const store = deps.artifacts ?? (await openArtifactStore({ db, config, begins: false, logger }));
  return { db, backend, producer, artifacts: countStoreFaults(store, registry), registry };
}

function openDatabase(config: Config, closing: Shutdown): Database {
  const db = createDatabase(databaseUrlOf(config), { poolSize: config.workerConnections });
  closing.add('database', () => db.$disconnect());
  return db;
}

async function openProducer(
  stores: { readonly db: Database; readonly backend: QueueBackend; readonly logger: Logger },
  closing: Shutdown,
): Promise<QueueProducer> {
  const producer = await createQueueProducer(stores);
  closing.add('queue', () => producer.close());
  return producer;
}

/**
 * Checks that the database has all migrations that this version of the worker needs.
 * @throws SetupError that names the remedy
 */
async function requireSchema(url: string): Promise<void> {
  const pending = await pendingMigrations(url);
  if (pending.length === 0) return;
  throw new SetupError(
    'database_not_migrated',
    `the database lacks migrations that this version needs (${pending.join(', ')}): ` +
      'run `readapt migrate`, or start the API first',
    { badInput: false },
  );
}

function databaseUrlOf(config: Config): string {
  if (config.databaseUrl !== null) return config.databaseUrl;
  throw new Error('DATABASE_URL is not set, expected the address of the database that the service uses');
}

/** Training process of a worker, and its device. */
export interface OpenedTraining {
  readonly training: TrainingProcess;
  readonly device: DeviceChoice;
  /** Folders of the bases that the training process has in memory. */
  readonly loaded: () => readonly string[];
}

/**
 * Creates the training process, unless the caller has passed one in.
 * @throws DeviceUnavailableError if the device of the configuration does not work here
 */
export async function openTraining(config: Config, deps: OpenDependencies, closing: Shutdown): Promise<OpenedTraining> {
  if (deps.training !== undefined) return { training: deps.training, device: config.device, loaded: () => [] };
  const { logger } = deps;
  const { precision, threads, graphCacheDir, int8CacheGb, memoryBytes, otlpEndpoint } = config;
  const int8CacheBytes = int8CacheGb * 2 ** 30;
  const { device, reason } = await chooseDevice(config.device, { precision });
  logger.info({ device, precision, reason }, 'device chosen');
  const bases = { device, precision, threads, graphCacheDir, int8CacheBytes, memoryBytes };
  let folders: readonly string[] = [];
  const onLoaded = (now: readonly string[]): void => void (folders = now);
  const training = createTrainingProcess({ logger, bases, onLoaded, otlpEndpoint });
  closing.add('training process', () => training.stop());
  return { training, device, loaded: () => folders };
}

/** Creates the folder of checkpoints, and removes from it the folders of jobs that have ended. */
export async function openCheckpoints({ dataDir }: Config, db: Database): Promise<string> {
  const checkpoints = path.join(dataDir, 'checkpoints');
  await mkdir(checkpoints, { recursive: true });
  await removeStaleCheckpoints(db, checkpoints);
  return checkpoints;
}

/** Tracing and metrics of a worker, and the port where the metrics are served; null if they are not. */
export interface Telemetry {
  readonly tracing: Tracing;
  readonly metrics: WorkerMetrics;
  readonly metricsPort: number | null;
}

interface TelemetryOptions {
  readonly db: Database;
  readonly registry: Registry;
  readonly device: DeviceChoice;
  readonly logger: Logger;
}

/** Starts tracing and, if the configuration has a port for it, the metrics server. */
export async function startTelemetry(config: Config, options: TelemetryOptions, closing: Shutdown): Promise<Telemetry> {
  const { db, registry, device, logger } = options;
  const { otlpEndpoint: endpoint, host, workerMetricsPort: port } = config;
  const tracing = await startTracing({ endpoint, service: 'readapt-worker', version: packageVersion() });
  closing.add('tracing', () => tracing.stop());
  const metrics = createWorkerMetrics({ registry, db, logger, device });
  const server = port === null ? null : await startMetricsServer(registry, { host, port });
  if (server !== null) closing.add('metrics', () => server.close());
  return { tracing, metrics, metricsPort: server?.port ?? null };
}

import { mkdir } from 'node:fs/promises';
import { isIPv6, type AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import { packageVersion } from '../../core/installation/package-path.ts';
import type { AppDependencies } from './app-dependencies.ts';
import { buildApp } from './app.ts';
import { openArtifactStore } from '../platform/artifacts/index.ts';
import type { Config } from '../platform/config/config.ts';
import { withSecretKey } from '../platform/config/secret-key-file.ts';
import { requireDatabase, requireRedis } from '../platform/config/reachable.ts';
import { nameAddress, nameDataFolder } from '../platform/config/setup-error.ts';
import { applyMigrations } from '../platform/database/migrations.ts';
import { startEmbeddedPostgres } from '../platform/embedded/index.ts';
import { createQueueProducer, createQueueBackend, type QueueBackend } from '../platform/queue/index.ts';
import { createShutdown, type Shutdown } from '../lib/shutdown.ts';
import { clockProblem } from '../lib/clock.ts';
import { readClock } from '../platform/database/clock.repository.ts';
import { createDatabase } from '../platform/database/database.ts';
import { createLogger, type Logger } from '../lib/logger.ts';
import type { ClaimLoop } from '../lib/claim-loop.ts';
import { createAddressPolicy } from '../platform/outgoing/address-policy.ts';
import { createPost } from '../platform/outgoing/post.ts';
import { createSecretBox } from '../platform/config/secret-box.ts';
import { startTracing } from '../platform/tracing/tracing.ts';
import { createAdapterInspector } from '../fleet/adapters/index.ts';
import { createApiKeyService } from '../tenants/api-keys/index.ts';
import { writeChecks, type ReadinessChecks } from '../operations/health/health.service.ts';
import { createUploadVerifier } from '../fleet/base-uploads/index.ts';
import { createApprovalAsker } from '../fleet/rollouts/index.ts';
import { createReconciler, createSyncMetrics, SYNC_TIMES } from '../delivery/replicas/index.ts';
import { createDeliverer, createDeliveryMetrics, RETRY_SCHEDULE } from '../delivery/webhooks/index.ts';
import { countStoreFaults, createProcessRegistry } from '../operations/metrics/index.ts';
import { createFolderMetrics, createServingFolder } from '../delivery/serving/index.ts';
import { decideRowSecurity } from '../platform/database/row-security/row-security.ts';

export interface ServerOptions {
  /** Logger of the server (default: one with the level `config.logLevel` that writes to standard error). */
  logger?: Logger;
  /** Registry to which metrics are added (default: a new one, with the metrics of the process). */
  metrics?: Registry;
  /** Removes the data folder of the embedded database when this process ends, however it ends (default false). */
  temporary?: boolean;
  /**
   * Receives the operator's first API key before the key becomes valid. It is called only if this start creates that
   * key. If it throws, no key is created.
   */
  keepOperatorKey?: (key: string) => Promise<void>;
  /** Longest time that running requests may take to end when the server stops, in milliseconds (default 10,000). */
  graceMs?: number;
}

export interface RunningServer {
  /** Address of the HTTP server, as `http://host:port`. */
  url: string;
  /** URL of the database in use, embedded or not. A worker that runs beside this server connects to it. */
  databaseUrl: string;
  /** The operator's first API key if this start has created it, else null. The key is not stored, so show it now. */
  operatorKey: string | null;
  app: FastifyInstance;
  deps: AppDependencies;
  /** Queue that the server uses, for workers in the same process. */
  backend: QueueBackend;
  /** Promise that resolves if the embedded database has died and cannot be started again. */
  lost: Promise<Error>;
  /**
   * Waits for running requests to end, and closes everything that the start of the server has opened. May be called
   * twice.
   */
  stop(): Promise<void>;
}

/**
 * Starts the service in this process: PostgreSQL (embedded unless `config.databaseUrl` is set), migrations, queue,
 * artifact store and HTTP server. If a part fails to start, the parts that have started are closed again.
 *
 * @throws SetupError that names the setting if the configuration cannot be used; DataFolderInUseError
 */
export async function startServer(config: Config, options: ServerOptions = {}): Promise<RunningServer> {
  const logger = options.logger ?? createLogger({ level: config.logLevel });
  const closing = createShutdown(logger);
  try {
    return await start(config, { ...options, logger }, closing);
  } catch (error) {
    await closing.run();
    throw nameDataFolder(error, config.dataDir);
  }
}

async function start(
  given: Config,
  options: ServerOptions & { logger: Logger },
  closing: Shutdown,
): Promise<RunningServer> {
  const { logger } = options;
  await mkdir(given.dataDir, { recursive: true });
  if (given.redisUrl !== null) await requireRedis(given.redisUrl);
  const { url: databaseUrl, readiness, lost } = await openDatabase(given, options, closing);
  const config = await withSecretKey(given);
  const applied = await applyMigrations(databaseUrl, undefined, (newer) =>
    logger.warn({ migrations: newer }, 'the database belongs to a newer version, whose window includes this one'),
  );
  if (applied.length > 0) logger.info({ migrations: applied }, 'database migrated');
  const rowSecurity = await decideRowSecurity(databaseUrl, config.rowSecurity, logger);
  const db = createDatabase(databaseUrl, { poolSize: config.apiConnections });
  closing.add('database', () => db.$disconnect());
  const wrongClock = clockProblem(await readClock(db), config.clockToleranceMs);
  if (typeof wrongClock === 'string') logger.warn({ reason: wrongClock }, 'the clock of this API is wrong');
  const backend = createQueueBackend({ databaseUrl, redisUrl: config.redisUrl });
  const producer = await createQueueProducer({ db, backend, logger });
  closing.add('queue', () => producer.close());
  const metrics = options.metrics ?? createProcessRegistry();
  const tracing = await startTracing({
    endpoint: config.otlpEndpoint,
    service: 'readapt-api',
    version: packageVersion(),
  });
  closing.add('tracing', () => tracing.stop());
  const store = await openArtifactStore({ db, config, begins: true, logger });
  const artifacts = countStoreFaults(store, metrics);
  const inspector = createAdapterInspector(config, logger);
  closing.add('inspections', () => inspector.close());
  const deps: AppDependencies = {
    db,
    rowSecurity,
    artifacts,
    producer,
    inspector,
    metrics,
    tracing,
    logger,
    readiness: { ...readiness, ...writeChecks(db, artifacts) },
  };
  const app = await buildApp(config, deps);
  closing.add('http', () => closeApp(app, options.graceMs ?? 10_000));
  await app.listen({ host: config.host, port: config.port }).catch((error: unknown) => {
    throw nameAddress(error, config);
  });
  // The key comes last: it is shown only once, so a start that fails must not create it.
  const operatorKey = await createApiKeyService({ db, quotas: config.quotas }).ensureOperatorKey(
    options.keepOperatorKey,
  );
  const url = urlOf(config.host, app.server.address() as AddressInfo);
  startLoops(config, deps, closing);
  keepServingFolder(config, deps, closing);
  logger.info({ url, database: config.databaseUrl === null ? 'embedded' : 'external', queue: backend.kind }, 'ready');
  return { url, databaseUrl, operatorKey, app, deps, backend, lost, stop: () => closing.run() };
}

/** Connects to the database at `config.databaseUrl`, or starts the embedded one if no such URL is set. */
async function openDatabase(
  { databaseUrl, dataDir }: Config,
  { logger, temporary }: ServerOptions & { logger: Logger },
  closing: Shutdown,
): Promise<{ url: string; readiness: ReadinessChecks; lost: Promise<Error> }> {
  if (databaseUrl !== null) {
    await requireDatabase(databaseUrl);
    return { url: databaseUrl, readiness: {}, lost: new Promise(() => undefined) };
  }
  const postgres = await startEmbeddedPostgres(dataDir, { exclusive: true, temporary, logger });
  closing.add('embedded PostgreSQL', () => postgres.stop());
  logger.info({ port: postgres.port, reused: postgres.reused }, 'embedded PostgreSQL is running');
  return { url: postgres.url, readiness: { embedded_postgres: postgres.check }, lost: postgres.lost };
}

/**
 * Starts the work that goes on in the background beside the HTTP server: verifying uploads, loading adapters into
 * replicas, sending webhooks, and asking for the approval of waves. Webhooks need `secretKeys`, and approvals need
 * `approvalSecrets`.
 */
function startLoops(config: Config, deps: AppDependencies, closing: Shutdown): void {
  const { db, producer, logger, metrics, artifacts } = deps;
  const policy = createAddressPolicy(config.webhookAllowedRanges);
  const start = (name: string, loop: ClaimLoop): void => {
    loop.start();
    closing.add(name, () => loop.stop());
  };
  const box = createSecretBox(config.secretKeys);
  if (box !== null) {
    const sending = { post: createPost({ policy }), schedule: RETRY_SCHEDULE, metrics: createDeliveryMetrics(metrics) };
    start('webhooks', createDeliverer({ db, box, logger, ...sending }));
  }
  const replicas = {
    policy: createAddressPolicy(config.replicaAllowedRanges),
    times: SYNC_TIMES,
    metrics: createSyncMetrics(metrics),
  };
  start('uploads', createUploadVerifier({ db, artifacts, logger, days: config.baseUploadDays }));
  start('replicas', createReconciler({ db, artifacts, box, logger, ...replicas }));
  const { approvalSecrets: secrets } = config;
  if (secrets.length > 0) {
    const post = (timeoutMs: number) => createPost({ policy, timeoutMs });
    start('approvals', createApprovalAsker({ db, producer, logger, secrets, post }));
  }
}

/** Keeps the folder from which serving engines take adapters up to date, if such a folder is configured. */
function keepServingFolder(
  { servingFolder: root, servingGraceMs: graceMs }: Config,
  { db, artifacts, logger, metrics }: AppDependencies,
  closing: Shutdown,
): void {
  if (root === null) return;
  const folder = createServingFolder({ db, artifacts, logger, root, graceMs, metrics: createFolderMetrics(metrics) });
  folder.start();
  closing.add('serving folder', () => folder.stop());
}

/**
 * Stops accepting requests, and waits for the running ones. Requests that take longer than `graceMs` are cut off. A
 * connection that is kept alive after its last answer is closed, because its client may keep it for minutes.
 */
async function closeApp(app: FastifyInstance, graceMs: number): Promise<void> {
  const cut = setTimeout(() => app.server.closeAllConnections(), graceMs);
  const idle = setInterval(() => app.server.closeIdleConnections(), 100);
  try {
    await app.close();
  } finally {
    clearTimeout(cut);
    clearInterval(idle);
  }
}

function urlOf(host: string, { port }: AddressInfo): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${isIPv6(reachable) ? `[${reachable}]` : reachable}:${port}`;
}

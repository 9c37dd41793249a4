import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import { Registry } from 'prom-client';
import type { AppDependencies } from '../../../src/api/app-dependencies.ts';
import { buildApp } from '../../../src/api/app.ts';
import { openArtifactStore } from '../../../src/platform/artifacts/index.ts';
import { loadConfig, type Config } from '../../../src/platform/config/config.ts';
import { createQueueProducer, createQueueBackend, type QueueProducer } from '../../../src/platform/queue/index.ts';
import type { Database } from '../../../src/platform/database/database.ts';
import { createLogger, type Logger } from '../../../src/lib/logger.ts';
import { createTestDatabase, type TestDatabase } from './test-database.ts';
import { bearer, createTestKey } from './test-keys.ts';

export interface TestAppOptions {
  /** Environment variables besides the folders and the database. */
  env?: Record<string, string>;
  /** Dependencies that replace the default ones. */
  deps?: Partial<AppDependencies>;
}

export interface TestApp {
  app: FastifyInstance;
  config: Config;
  db: Database;
  database: TestDatabase;
  deps: AppDependencies;
  /** API key of the operator. */
  operatorKey: string;
  /** Data folder, and a root folder within which requests may name folders. */
  dataDir: string;
  allowedRoot: string;
  /** Sends a request with the operator's key or another one; `key: null` sends none. */
  request(options: InjectOptions & { key?: string | null }): Promise<LightMyRequestResponse>;
  close(): Promise<void>;
}

/** Builds the real app with a database of its own and a file store in a temporary folder. */
export async function createTestApp(options: TestAppOptions = {}): Promise<TestApp> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-'));
  const dataDir = path.join(folder, 'data');
  const allowedRoot = path.join(folder, 'models');
  await mkdir(allowedRoot);
  const database = await createTestDatabase();
  const config = loadConfig({
    READAPT_DATA_DIR: dataDir,
    READAPT_ALLOWED_ROOTS: allowedRoot,
    DATABASE_URL: database.url,
    READAPT_LOG_LEVEL: process.env.READAPT_TEST_LOG_LEVEL ?? 'silent',
    READAPT_SECRET_KEY: Buffer.alloc(32, 1).toString('base64'),
    ...options.env,
  });
  const deps = await testDependencies(config, database, options.deps ?? {});
  const app = await buildApp(config, deps);
  const operatorKey = await createTestKey(database.db);
  return {
    app,
    config,
    db: database.db,
    database,
    deps,
    operatorKey,
    dataDir,
    allowedRoot,
    request: ({ key = operatorKey, ...request }) =>
      app.inject({ ...request, headers: { ...(key === null ? {} : bearer(key)), ...request.headers } }),
    close: async () => {
      await app.close();
      if (options.deps?.producer === undefined) await deps.producer.close();
      await database.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function testDependencies(
  config: Config,
  database: TestDatabase,
  given: Partial<AppDependencies>,
): Promise<AppDependencies> {
  const logger = given.logger ?? createLogger({ level: config.logLevel, pretty: false });
  return {
    db: database.db,
    artifacts: await openArtifactStore({ db: database.db, config, begins: true }),
    producer: given.producer ?? (await createTestProducer(database, logger)),
    inspector: missing('inspector'),
    metrics: new Registry(),
    logger,
    ...given,
  };
}

/** Creates the real producer for the queue in the test's database. */
function createTestProducer(database: TestDatabase, logger: Logger): Promise<QueueProducer> {
  const backend = createQueueBackend({ databaseUrl: database.url, redisUrl: null });
  return createQueueProducer({ db: database.db, backend, logger });
}

/** Dependency that throws when used, for tests that do not provide it. */
function missing<T extends object>(name: string): T {
  return new Proxy({} as T, {
    get(_target, property) {
      throw new Error(`the test app was made without "${name}", whose ${String(property)} is used`);
    },
  });
}

import type { FastifyPluginAsync } from 'fastify';
import type { Registry } from 'prom-client';
import type { ArtifactStore } from './artifacts/artifact-store.ts';
import type { Config } from './config/config.ts';
import type { JobProducer } from './jobs/producer.ts';
import type { Database } from './lib/database.ts';
import type { Logger } from './lib/logger.ts';
import type { Tracing } from './lib/tracing/tracing.ts';
import type { AdapterInspector } from './modules/adapters/index.ts';
import type { ReadinessChecks } from './modules/health/health.service.ts';

/** What the app is built from. Entry points and tests create and close these; the app closes none of them. */
export interface AppDependencies {
  db: Database;
  /** Whether the database confines requests of tenants to their rows (default true). False where it cannot. */
  rowSecurity?: boolean;
  artifacts: ArtifactStore;
  producer: JobProducer;
  inspector: AdapterInspector;
  metrics: Registry;
  logger: Logger;
  /** Default: nothing is traced. */
  tracing?: Tracing;
  /** What /readyz checks besides the database and the queue. */
  readiness?: ReadinessChecks;
}

/** Options of every module's plugin. The database comes with each request, confined to what its caller may see. */
export interface ModuleOptions {
  config: Config;
  deps: Omit<AppDependencies, 'db'>;
}

/** The routes of a module, which are registered below /v1. */
export type ModulePlugin = FastifyPluginAsync<ModuleOptions>;

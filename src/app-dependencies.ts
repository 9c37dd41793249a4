import type { FastifyPluginAsync } from 'fastify';
import type { Registry } from 'prom-client';
import type { ArtifactStore } from './artifacts/artifact-store.ts';
import type { Config } from './config/config.ts';
import type { JobProducer } from './jobs/producer.ts';
import type { AdapterInspector } from './modules/adapters/index.ts';
import type { Database } from './lib/database.ts';
import type { Logger } from './lib/logger.ts';

/** What the app needs from outside. Entry points build it, tests too; the app closes none of it. */
export interface AppDependencies {
  db: Database;
  artifacts: ArtifactStore;
  producer: JobProducer;
  inspector: AdapterInspector;
  metrics: Registry;
  logger: Logger;
}

/** Options that every module's plugin gets. */
export interface ModuleOptions {
  config: Config;
  deps: AppDependencies;
}

/** A module's routes, registered below /v1. */
export type ModulePlugin = FastifyPluginAsync<ModuleOptions>;

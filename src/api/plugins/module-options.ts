import type { FastifyPluginAsync } from 'fastify';
import type { Logger } from '../../lib/logger.ts';
import type { ArtifactStore } from '../../platform/artifacts/artifact-store.ts';
import type { Config } from '../../platform/config/config.ts';
import type { QueueProducer } from '../../platform/queue/producer.ts';

/**
 * Dependencies of all route plugins. The database is not among them: it comes with each request, confined to the
 * caller.
 */
export interface ModuleDependencies {
  artifacts: ArtifactStore;
  producer: QueueProducer;
  logger: Logger;
}

/** Options of every route plugin. */
export interface ModuleOptions<Deps extends ModuleDependencies = ModuleDependencies> {
  config: Config;
  deps: Deps;
}

/** Route plugin that is registered below /v1. */
export type ModulePlugin<Deps extends ModuleDependencies = ModuleDependencies> = FastifyPluginAsync<
  ModuleOptions<Deps>
>;

import { Registry } from 'prom-client';
import type { AppDependencies } from './app-dependencies.ts';
import { buildApp } from './app.ts';
import { loadConfig } from '../platform/config/config.ts';
import { createDatabase } from '../platform/database/database.ts';
import { createLogger } from '../lib/logger.ts';

/**
 * Renders the OpenAPI document of the service as formatted JSON in a stable order. It builds the real app without any
 * connection, because only the routes are read.
 */
export async function renderOpenApi(): Promise<string> {
  // Prisma connects at the first query, and there is none.
  const db = createDatabase('postgresql://localhost:5432/readapt');
  const deps: AppDependencies = {
    db,
    artifacts: unused('artifacts'),
    producer: unused('producer'),
    inspector: unused('inspector'),
    metrics: new Registry(),
    logger: createLogger({ level: 'silent', pretty: false }),
  };
  const app = await buildApp(loadConfig({}), deps);
  try {
    await app.ready();
    return `${JSON.stringify(sortPaths(app.swagger() as unknown as Document), null, 2)}\n`;
  } finally {
    await app.close();
    await db.$disconnect();
  }
}

/**
 * Creates a stand-in for a dependency of the app, which throws when it is used. Describing the routes uses no
 * dependency.
 */
function unused<T extends object>(name: string): T {
  return new Proxy({} as T, {
    get(_target, property) {
      throw new Error(`describing the API must not use ${name}.${String(property)}`);
    },
  });
}

interface Document {
  paths: Record<string, unknown>;
}

/** Sorts the paths of the OpenAPI document, so that it does not depend on the order in which routes are registered. */
function sortPaths(document: Document): Document {
  const paths = Object.entries(document.paths).sort(([a], [b]) => (a < b ? -1 : 1));
  return { ...document, paths: Object.fromEntries(paths) };
}

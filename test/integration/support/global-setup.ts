import { mkdtemp, rm, statfs } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { applyMigrations } from '../../../src/platform/database/migrations.ts';
import { startEmbeddedPostgres } from '../../../src/platform/embedded/index.ts';
import { createQueueProducer, createQueueBackend } from '../../../src/platform/queue/index.ts';
import { createDatabase } from '../../../src/platform/database/database.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { copyDatabaseFolder } from './database-folder.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** URL of the server's database `postgres`. */
    postgresUrl: string;
    /**
     * Folder of an embedded PostgreSQL with the migrated database of a service, for data folders
     * (`database-folder.ts`).
     */
    databaseFolder: string;
  }
}

export const TEMPLATE = 'readapt_template';

/** Starts one PostgreSQL for all projects of a run, with a migrated template that test files clone. */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const run = project.vitest.getRootProject();
  if ('databaseFolder' in run.getProvidedContext()) return undefined;
  const folder = await mkdtemp(path.join(await placeOfData(), 'readapt-test-postgres-'));
  const databaseFolder = await createDatabaseFolder(folder);
  const postgres = await startEmbeddedPostgres(folder, { durable: false, maxConnections: 300 });
  const adminUrl = withDatabase(postgres.url, 'postgres');
  const admin = new pg.Client({ connectionString: adminUrl });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${TEMPLATE} TEMPLATE readapt`);
  await admin.end();
  run.provide('postgresUrl', adminUrl);
  run.provide('databaseFolder', databaseFolder);
  return async () => {
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  };
}

/** Migrates the database of a service in `folder`, and copies its files, which are whole only while no server runs. */
async function createDatabaseFolder(folder: string): Promise<string> {
  const postgres = await startEmbeddedPostgres(folder, { durable: false });
  await applyMigrations(postgres.url);
  await prepareQueue(postgres.url);
  await postgres.stop();
  const copy = path.join(folder, 'template');
  await copyDatabaseFolder(path.join(folder, 'postgres'), copy);
  return copy;
}

/**
 * Memory if there is plenty of it, because other programs may keep the disk busy; else the folder for temporary files.
 */
async function placeOfData(): Promise<string> {
  const memory = '/dev/shm';
  const space = await statfs(memory).catch(() => null);
  return space !== null && space.bavail * space.bsize > 8 * 2 ** 30 ? memory : os.tmpdir();
}

/** Creates the queue's tables in the template, so that clones need not. */
async function prepareQueue(databaseUrl: string): Promise<void> {
  const db = createDatabase(databaseUrl);
  const backend = createQueueBackend({ databaseUrl, redisUrl: null });
  const producer = await createQueueProducer({ db, backend, logger: createLogger({ level: 'silent', pretty: false }) });
  await producer.close();
  await db.$disconnect();
}

function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.toString();
}

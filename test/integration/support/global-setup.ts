import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { applyMigrations, startEmbeddedPostgres } from '../../../src/embedded/index.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Connection string of the server's database `postgres`. */
    postgresUrl: string;
  }
}

export const TEMPLATE = 'readapt_template';

/** One PostgreSQL for the whole run, with a migrated template that each test file clones. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-postgres-'));
  const postgres = await startEmbeddedPostgres(folder, { durable: false, maxConnections: 300 });
  const adminUrl = withDatabase(postgres.url, 'postgres');
  const admin = new pg.Client({ connectionString: adminUrl });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${TEMPLATE}`);
  await applyMigrations(withDatabase(postgres.url, TEMPLATE));
  await admin.end();
  project.provide('postgresUrl', adminUrl);
  return async () => {
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  };
}

function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.toString();
}

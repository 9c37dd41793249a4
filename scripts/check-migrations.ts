// Checks that the migrations produce the tables of schema.prisma: applies all of them to a new embedded PostgreSQL and
// compares the result. Run it with `node --import tsx scripts/check-migrations.ts`.
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { applyMigrations } from '../src/platform/database/migrations.ts';
import { startEmbeddedPostgres } from '../src/platform/embedded/index.ts';
import { findDrift } from './schema-drift/index.ts';

const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-check-migrations-'));
const postgres = await startEmbeddedPostgres(folder, { durable: false });
try {
  await applyMigrations(postgres.url);
  const { missing, unexpected } = await findDrift(postgres.url);
  for (const line of missing) console.error(`missing in the migrations: ${line}`);
  for (const line of unexpected) console.error(`not in schema.prisma: ${line}`);
  process.exitCode = missing.length + unexpected.length === 0 ? 0 : 1;
  if (process.exitCode === 0) console.log('the migrations produce what schema.prisma says');
} finally {
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
}

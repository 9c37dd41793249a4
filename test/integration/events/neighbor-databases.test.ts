import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { applyMigrations } from '../../../src/platform/database/migrations.ts';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../../src/platform/embedded/index.ts';
import { createDatabase, type Database } from '../../../src/platform/database/database.ts';
import { formatPosition } from '../../../src/delivery/events/index.ts';
import { createEventService } from '../../../src/delivery/events/event.service.ts';
import { createEventStreams } from '../../../src/delivery/events/stream/event-streams.ts';
import { happen } from './support.ts';

// Uses a server of its own with prepared transactions enabled, which is a setting read at its start.
let folder: string;
let server: EmbeddedPostgres;
let db: Database;
let neighbor: pg.Client;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-neighbors-'));
  server = await startEmbeddedPostgres(folder, { durable: false });
  const admin = new pg.Client({ connectionString: server.url });
  await admin.connect();
  await admin.query('ALTER SYSTEM SET max_prepared_transactions = 1');
  await admin.query('CREATE DATABASE neighbor');
  await admin.end();
  await server.stop();
  server = await startEmbeddedPostgres(folder, { durable: false });
  await applyMigrations(server.url);
  db = createDatabase(server.url);
  const url = new URL(server.url);
  url.pathname = '/neighbor';
  neighbor = new pg.Client({ connectionString: url.toString() });
  await neighbor.connect();
});
afterAll(async () => {
  await neighbor?.end();
  await db?.$disconnect();
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

test('a stream that begins while a transaction of another database counts for a time sends nothing again', async () => {
  const events = createEventService({ db });
  const start = { transaction: 0n, sequence: 0n };
  const readable = async () => (await events.read(start, {}, null)).events.map((event) => event.subject_id);
  await neighbor.query('BEGIN');
  await neighbor.query('SELECT pg_current_xact_id()');
  await happen(db, 'one');
  const { end } = await events.read(start, {}, null);
  expect(await readable()).toEqual(['one']);
  // PostgreSQL does not tell in which database a prepared transaction was begun, nor one that is about to end.
  await neighbor.query(`PREPARE TRANSACTION 'neighbor'`);
  expect(await readable()).toEqual([]);

  const logger = { warn: () => undefined };
  const streams = createEventStreams({ db, limits: { perOwner: 1, all: 1 }, heartbeatMs: 60_000, logger });
  const closing = new AbortController();
  const reader = { db, scope: null, owner: 'reader', signal: closing.signal, isAdmitted: () => Promise.resolve(true) };
  const frames = await streams.open({ ...reader, cut: () => undefined }, { source: 'all', after: formatPosition(end) });
  const sent: string[] = [];
  await neighbor.query(`ROLLBACK PREPARED 'neighbor'`);
  await happen(db, 'two');
  for await (const text of frames) {
    for (const [, subject] of text.matchAll(/"subject_id":"(\w+)"/g)) sent.push(subject!);
    if (sent.includes('two')) break;
  }
  closing.abort();
  streams.close();
  expect(sent).toEqual(['two']);
});

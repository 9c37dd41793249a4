import { readdir, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../../../src/platform/config/config.ts';
import { withTransaction, type Database } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { writeAuditEntry } from '../../../src/tenants/audit/index.ts';
import { recordEvent } from '../../../src/delivery/events/index.ts';
import { startWorker, type RunningWorker } from '../../../workers/start/start-worker.ts';
import { createTrainingProcess, type TrainingProcess } from '../../../workers/training/training-process.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestQueue, logger, type TestQueue } from '../queue/test-queue.ts';
import { unknownEvent, untilReadable } from '../support/index.ts';

const ENTRY = fileURLToPath(new URL('../jobs/scripted-training.ts', import.meta.url));
const LONG_AGO = new Date(Date.now() - 20 * 365 * 86_400_000);

let queue: TestQueue;
let db: Database;
let fleet: Fleet;
let training: TrainingProcess;
let worker: RunningWorker | undefined;

beforeEach(async () => {
  queue = await createTestQueue();
  ({ db } = queue.database);
  fleet = await createFleet(db, { tenants: 1, adapters: 2 });
  training = createTrainingProcess({ logger, entry: ENTRY });
});
afterEach(async () => {
  await worker?.stop();
  await training.stop();
  await fleet.remove();
  await queue.close();
});

/** Adds a job that ended long ago, with a metric point. */
async function oldJob(): Promise<void> {
  const { tenantId, adapterId, id: sourceVersionId } = await db.adapterVersion.findFirstOrThrow();
  const rolloutId = newId('rollout');
  await db.rollout.create({
    data: { id: rolloutId, baseModelVersionId: fleet.newVersionId, options: {}, state: 'completed' },
  });
  const jobId = newId('job');
  const row = { tenantId, rolloutId, adapterId, sourceVersionId, strategy: 'auto', metricName: 'accuracy' };
  await db.job.create({ data: { id: jobId, ...row, state: 'ready', finishedAt: LONG_AGO } });
  await db.metricPoint.create({ data: { tenantId, jobId, name: 'loss', step: 1, value: 1, recordedAt: LONG_AGO } });
}

/** Creates one of everything that a worker removes when it is old enough. */
async function makeOldThings(): Promise<void> {
  const tenantId = fleet.tenants[0]!;
  await withTransaction(db, async (tx) => {
    await recordEvent(tx, unknownEvent({ tenantId, subjectId: tenantId }));
    const actor = { kind: 'operator', keyId: null } as const;
    const entry = { tenantId, subjectId: tenantId, operation: 'x', before: null, after: null, requestId: null };
    await writeAuditEntry(tx, { ...entry, actor });
  });
  await db.event.updateMany({ data: { occurredAt: LONG_AGO } });
  await db.auditEntry.updateMany({ data: { occurredAt: LONG_AGO } });
  await db.deviceUse.create({ data: { tenantId, jobId: 'job', startedAt: LONG_AGO, endedAt: LONG_AGO } });
  await oldJob();
  await db.adapter.update({ where: { id: fleet.adapters[1]! }, data: { deletedAt: LONG_AGO } });
  const file = path.join(fleet.folder, 'bytes');
  await writeFile(file, 'bytes of a process that died before it could name them');
  const { digest } = await fleet.artifacts.putFile(file, 'dataset');
  await utimes(await fleet.artifacts.localPath(digest), LONG_AGO, LONG_AGO);
  // The worker removes no event that readers cannot see yet, and checks again only after an hour.
  await untilReadable(db);
}

/** Number of things of each kind. */
async function counts(): Promise<Record<string, number>> {
  const stored = [];
  for await (const { digest } of fleet.artifacts.list()) stored.push(digest);
  return {
    events: await db.event.count({ where: { type: 'test.happened' } }),
    auditEntries: await db.auditEntry.count(),
    deviceUses: await db.deviceUse.count(),
    metricPoints: await db.metricPoint.count(),
    adapters: await db.adapter.count(),
    artifacts: stored.length,
  };
}

test('a worker removes by itself what is too old, what was deleted, and bytes that no row names', async () => {
  await makeOldThings();
  const before = { events: 1, auditEntries: 1, deviceUses: 1, metricPoints: 1, adapters: 2, artifacts: 3 };
  expect(await counts()).toEqual(before);
  const config = loadConfig({ READAPT_DATA_DIR: path.join(fleet.folder, 'data'), DATABASE_URL: queue.database.url });
  const { backend, producer } = queue;
  const deps = { db, artifacts: fleet.artifacts, backend, producer, training, logger };
  worker = await startWorker(config, deps, { housekeepingDelayMs: 0 });
  const after = { events: 0, auditEntries: 0, deviceUses: 0, metricPoints: 0, adapters: 1, artifacts: 2 };
  await expect.poll(counts).toEqual(after);
  expect(await readdir(path.join(config.dataDir, 'checkpoints'))).toEqual([]);
});

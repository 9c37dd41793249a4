import { cp, rename } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '../../../src/lib/ids.ts';
import { tasteRows } from '../../unit/training/support/tiny-task.ts';
import { eventually } from '../queue/test-queue.ts';
import { createTinyFleet, type TinyFleet } from './tiny-fleet.ts';

/** Times after which the worker looks again for what it could not read. */
const QUARANTINE = { firstDelayMs: 200, longestDelayMs: 400 };

let fleet: TinyFleet;
let adapterId: string;
/** The base of the imported version, which becomes unreadable. */
let anchorBase: { id: string; path: string };
let anchorVersion: string;
/** The third version of the base. */
let thirdId: string;
const other = newId('worker');

beforeAll(async () => {
  fleet = await createTinyFleet({ adapters: 1 });
  const { db, family } = fleet;
  await db.adapter.updateMany({ data: { gate: { kind: 'relative', margin: 10 } } });
  const imported = await db.adapterVersion.findFirstOrThrow({ include: { baseModelVersion: true } });
  ({ adapterId, id: anchorVersion } = imported);
  const { baseModelId, id } = imported.baseModelVersion;
  // A copy, which can be taken away.
  anchorBase = { id, path: path.join(family.folder, 'imported-base') };
  await cp(family.oldBase, anchorBase.path, { recursive: true });
  await db.baseModelVersion.update({ where: { id }, data: { path: anchorBase.path } });
  thirdId = newId('baseModelVersion');
  const third = { id: thirdId, baseModelId, version: '3', path: family.newBase, servingName: 'third' };
  await db.baseModelVersion.create({ data: third });
  await fleet.startWorker({ quarantine: QUARANTINE, registrationMs: 100 });
  await fleet.roll({ strategy: 'reuse' });
  // The imported version has to be measured on other rows, and this machine has lost its base.
  await fleet.replaceData(
    0,
    [
      [16, 2500, 'search'],
      [32, 2700, 'gate'],
    ].flatMap(([count, offset, split]) =>
      tasteRows(count as number, offset as number).map((row) => ({ ...row, split })),
    ),
  );
  await rename(anchorBase.path, `${anchorBase.path}.away`);
}, 60_000);
afterAll(() => fleet.close());

/** Another worker, which is only registered. */
async function report(unreadableBases: string[]): Promise<void> {
  const figures = { version: '0.0.0', device: 'cpu', state: 'ready', unreadableBases, seenAt: new Date() };
  const create = { id: other, host: 'other', pid: 1, ...figures };
  await fleet.db.workerProcess.upsert({ where: { id: other }, create, update: figures });
}

test('a job is left to a worker that may read the base of the imported version, and only without one counts from another', async () => {
  const { db } = fleet;
  await report([]);
  const rolloutId = await fleet.begin({ strategy: 'reuse' }, thirdId);
  const waiting = await eventually('the job is left', async () => {
    const job = await db.job.findFirst({ where: { rolloutId, state: 'queued', error: { not: {} } } });
    const { unreadableBases } = await db.workerProcess.findFirstOrThrow({ where: { id: { not: other } } });
    return unreadableBases.includes(anchorBase.id) && job;
  });
  expect(waiting.error).toMatchObject({ code: 'worker_fault' });
  expect(JSON.stringify(waiting.error)).toContain('can read the folder of base model version');
  expect(waiting.anchorVersionId).toBeNull();
  const moved = { where: { subjectId: adapterId, type: 'adapter.anchor_moved' } };
  expect(await db.event.count(moved)).toBe(0);

  // The other worker has found that it cannot read it either.
  await report([anchorBase.id]);
  const [job] = await fleet.ended(rolloutId);
  expect(job).toMatchObject({ state: 'ready' });
  expect(job!.anchor_version_id).not.toBe(anchorVersion);
  expect(job!.warnings).toEqual([expect.stringContaining('its files or its base are gone')]);
  expect(await db.event.count(moved)).toBe(1);
});

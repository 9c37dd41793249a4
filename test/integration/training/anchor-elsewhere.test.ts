import { cp, readdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '../../../src/platform/contract/ids.ts';
import { tasteDataset } from '../../unit/training/support/tiny-task.ts';
import { eventually } from '../../eventually.ts';
import { createTinyFleet, type TinyFleet } from './tiny-fleet.ts';

/** Delays after which the worker retries reading what it could not read. */
const QUARANTINE = { firstDelayMs: 200, longestDelayMs: 400 };

const OPTIONS = { strategy: 'reuse', max_new_tokens: 2 } as const;

/** Rows that differ from the fleet's initial ones. */
const OTHER_DATASET = tasteDataset({ training: 0, search: 16, gate: 32, from: 2000 });

let fleet: TinyFleet;
let adapterId: string;
/** Identifier of an adapter whose rows are prompts alone. */
let prompting: string;
/** Base of the imported version, which becomes unreadable. */
let anchorBase: { id: string; path: string };
let anchorVersion: string;
/** Identifier of the base's third version. */
let thirdId: string;
const other = newId('worker');

beforeAll(async () => {
  fleet = await createTinyFleet({ adapters: 2 });
  const { db, family } = fleet;
  await db.adapter.updateMany({ data: { gate: { kind: 'relative', margin: 10 } } });
  [adapterId, prompting] = (await db.adapter.findMany({ orderBy: { name: 'asc' } })).map(({ id }) => id) as [
    string,
    string,
  ];
  const imported = await db.adapterVersion.findFirstOrThrow({
    where: { adapterId },
    include: { baseModelVersion: true },
  });
  anchorVersion = imported.id;
  const agreement = { metric: 'exact_match', gate: { kind: 'relative', margin: 0.95 } } as const;
  await db.adapter.update({ where: { id: prompting }, data: agreement });
  await fleet.replaceData(
    1,
    OTHER_DATASET.map(({ prompt, split }) => ({ prompt, split })),
  );
  const { baseModelId, id } = imported.baseModelVersion;
  // A copy, which the test can remove.
  anchorBase = { id, path: path.join(family.folder, 'imported-base') };
  await cp(family.oldBase, anchorBase.path, { recursive: true });
  await db.baseModelVersion.update({ where: { id }, data: { path: anchorBase.path } });
  thirdId = newId('baseModelVersion');
  const third = { id: thirdId, baseModelId, version: '3', path: family.newBase, servingName: 'third' };
  await db.baseModelVersion.create({ data: third });
  await fleet.startWorker({ quarantine: QUARANTINE, registrationMs: 100 });
  await fleet.roll(OPTIONS);
  // The imported version must be measured on other rows, but this machine has lost its base.
  await fleet.replaceData(0, OTHER_DATASET);
  await rename(anchorBase.path, `${anchorBase.path}.away`);
});
afterAll(() => fleet.close());

/** Registers another worker without running it. It does not count as gone, however long the test takes. */
async function report(unreadableBases: string[]): Promise<void> {
  const seenAt = new Date(Date.now() + 3_600_000);
  const figures = { version: '0.0.0', device: 'cpu', state: 'ready', unreadableBases, seenAt };
  const create = { id: other, host: 'other', pid: 1, ...figures };
  await fleet.db.workerProcess.upsert({ where: { id: other }, create, update: figures });
}

const LEFT_TO_ANOTHER_WORKER =
  'a job is left to a worker that may read the base of the imported version, and only without one counts from another';
test(LEFT_TO_ANOTHER_WORKER, async () => {
  const { db } = fleet;
  await report([]);
  const rolloutId = await fleet.begin(OPTIONS, thirdId);
  const left = (of: string) =>
    db.job.findFirst({ where: { rolloutId, adapterId: of, state: 'queued', error: { not: {} } } });
  // The row first has the fault itself, then, once the worker has noted it, what is missing on which worker.
  const waiting = await eventually('the job is left, and its row says what no worker can read', async () => {
    const job = await left(adapterId);
    const { unreadableBases } = await db.workerProcess.findFirstOrThrow({ where: { id: { not: other } } });
    const isSaid = JSON.stringify(job?.error ?? null).includes('can read the folder of base model version');
    return unreadableBases.includes(anchorBase.id) && isSaid && job;
  });
  expect(waiting.error).toMatchObject({ code: 'worker_fault' });
  expect(waiting.anchorVersionId).toBeNull();
  const moved = { where: { subjectId: adapterId, type: 'adapter.anchor_moved' } };
  expect(await db.event.count(moved)).toBe(0);

  // Only the imported version may answer prompts alone; the last version does not stand in for it.
  const { id } = await eventually('the job with prompts alone is left, too', () => left(prompting));
  const files = await readdir(path.join(fleet.dataDir, 'checkpoints', id), { recursive: true });
  expect(files.filter((file) => file.includes('answers'))).toEqual([]);

  // The other worker reports that it cannot read the base either.
  await report([anchorBase.id]);
  const jobs = await fleet.ended(rolloutId);
  const job = jobs.find(({ adapter_id }) => adapter_id === adapterId);
  expect(job).toMatchObject({ state: 'ready' });
  expect(job!.anchor_version_id).not.toBe(anchorVersion);
  expect(job!.warnings).toEqual([expect.stringContaining('its files or its base are gone')]);
  expect(jobs.find(({ adapter_id }) => adapter_id === prompting)!.warnings[0]).toMatch(
    /^version 2, which is carried over, answers the prompts, .* its files or its base are gone$/,
  );
  expect(await db.event.count(moved)).toBe(1);
});

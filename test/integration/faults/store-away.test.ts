import { chmod, mkdir, readdir, readFile, rename, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { createRollout, createRolloutLifecycle, type StoredOptions } from '../../../src/fleet/rollouts/index.ts';
import { eventually } from '../../eventually.ts';
import { createTinyFleet, type TinyFleet } from '../training/tiny-fleet.ts';

const QUARANTINE = { firstDelayMs: 50, longestDelayMs: 200, faults: 3, firstMs: 200, longestMs: 200 };

let fleet: TinyFleet;

beforeEach(async () => {
  fleet = await createTinyFleet({ adapters: 1 });
});
afterEach(() => fleet.close());

async function planned(): Promise<string> {
  const { db, newVersionId: baseModelVersionId } = fleet;
  const options: Partial<StoredOptions> = { strategy: 'reuse' };
  const { rollout } = await withTransaction(db, (tx) => createRollout(tx, { baseModelVersionId, options }));
  const lifecycle = createRolloutLifecycle({ db });
  const { options: stored } = (await lifecycle.beginAnalysis(rollout.id))!;
  await lifecycle.plan({ id: rollout.id, baseModelVersionId, options: stored as StoredOptions }, new Map());
  return rollout.id;
}

const contents = () => path.join(fleet.dataDir, 'artifacts', 'sha256');

test.each([
  ['that is not mounted', false],
  ['that is not mounted, with the empty folders of an earlier start in its place', true],
])('a store %s puts jobs off, and they end when it is back', async (_, withFolders) => {
  const id = await planned();
  const away = `${contents()}-away`;
  await rename(contents(), away);
  if (withFolders) await mkdir(contents());
  await fleet.startWorker({ quarantine: QUARANTINE });
  const job = async () => (await fleet.jobs(id))[0]!;
  await eventually('its job was claimed more often than it has attempts', async () => (await job()).attempt > 5);
  expect(['queued', 'preparing']).toContain((await job()).state);
  await eventually('it says why it waits', async () => (await job()).error?.code === 'worker_fault');
  if (withFolders) await rmdir(contents());
  await rename(away, contents());
  expect(await fleet.ended(id)).toMatchObject([{ error: { code: 'gate_not_reached' } }]);
});

test('an artifact that is gone while the store is there fails its job, which says so', async () => {
  const id = await planned();
  const { artifactDigest } = await fleet.db.adapterVersion.findFirstOrThrow();
  await fleet.artifacts.remove(artifactDigest);
  await fleet.startWorker({ quarantine: QUARANTINE });
  expect(await fleet.ended(id)).toMatchObject([{ state: 'failed', attempt: 4, error: { code: 'artifact_missing' } }]);
});

test.each(['adapter', 'dataset'])('a job fails if its %s has changed on disk, and says so', async (kind) => {
  const id = await planned();
  const version = await fleet.db.adapterVersion.findFirstOrThrow({
    include: { adapter: { include: { dataset: true } } },
  });
  const digest = kind === 'adapter' ? version.artifactDigest : version.adapter.dataset!.artifactDigest;
  const found = await fleet.artifacts.localPath(digest);
  const file = kind === 'adapter' ? path.join(found, (await readdir(found))[0]!) : found;
  const bytes = await readFile(file);
  bytes[bytes.length - 2]! ^= 1;
  await chmod(file, 0o644);
  await writeFile(file, bytes);
  await fleet.startWorker({ quarantine: QUARANTINE });
  expect(await fleet.ended(id)).toMatchObject([{ state: 'failed', error: { code: 'artifact_corrupt' } }]);
});

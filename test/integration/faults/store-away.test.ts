import { chmod, mkdir, readdir, readFile, rename, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { createRollout, createRolloutLifecycle, type StoredOptions } from '../../../src/fleet/rollouts/index.ts';
import { eventually } from '../../eventually.ts';
import { createTinyFleet, type TinyFleet } from '../training/tiny-fleet.ts';

const QUARANTINE = { firstDelayMs: 50, longestDelayMs: 200, faults: 3, firstMs: 200, longestMs: 200 };

/** Gives a test a fleet of its own: each damages its store, and waits for attempts while the others compute. */
async function withFleet(work: (fleet: TinyFleet) => Promise<void>): Promise<void> {
  const fleet = await createTinyFleet({ adapters: 1 });
  try {
    await work(fleet);
  } finally {
    await fleet.close();
  }
}

async function planned({ db, newVersionId: baseModelVersionId }: TinyFleet): Promise<string> {
  const options: Partial<StoredOptions> = { strategy: 'reuse' };
  const { rollout } = await withTransaction(db, (tx) => createRollout(tx, { baseModelVersionId, options }));
  const lifecycle = createRolloutLifecycle({ db });
  const { options: stored } = (await lifecycle.beginAnalysis(rollout.id))!;
  await lifecycle.plan({ id: rollout.id, baseModelVersionId, options: stored as StoredOptions }, new Map());
  return rollout.id;
}

/** Takes the contents of a store away while a worker runs, and brings them back. */
async function takeAway(fleet: TinyFleet, withFolders: boolean): Promise<void> {
  const id = await planned(fleet);
  const contents = path.join(fleet.dataDir, 'artifacts', 'sha256');
  const away = `${contents}-away`;
  await rename(contents, away);
  if (withFolders) await mkdir(contents);
  await fleet.startWorker({ quarantine: QUARANTINE });
  const job = async () => (await fleet.jobs(id))[0]!;
  await eventually('its job was claimed more often than it has attempts', async () => (await job()).attempt > 5);
  expect(['queued', 'preparing']).toContain((await job()).state);
  await eventually('it says why it waits', async () => (await job()).error?.code === 'worker_fault');
  if (withFolders) await rmdir(contents);
  await rename(away, contents);
  expect(await fleet.ended(id)).toMatchObject([{ error: { code: 'gate_not_reached' } }]);
}

/** Changes a byte of the adapter or of the dataset of a fleet on disk. */
async function corrupt(fleet: TinyFleet, kind: string): Promise<void> {
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
}

describe.concurrent('with a worker', () => {
  test.each([
    ['that is not mounted', false],
    ['that is not mounted, with the empty folders of an earlier start in its place', true],
  ])('a store %s puts jobs off, and they end when it is back', (_, withFolders) =>
    withFleet((fleet) => takeAway(fleet, withFolders)),
  );

  test('an artifact that is gone while the store is there fails its job, which says so', () =>
    withFleet(async (fleet) => {
      const id = await planned(fleet);
      const { artifactDigest } = await fleet.db.adapterVersion.findFirstOrThrow();
      await fleet.artifacts.remove(artifactDigest);
      await fleet.startWorker({ quarantine: QUARANTINE });
      expect(await fleet.ended(id)).toMatchObject([
        { state: 'failed', attempt: 4, error: { code: 'artifact_missing' } },
      ]);
    }));

  test.each(['adapter', 'dataset'])('a job fails if its %s has changed on disk, and says so', (kind) =>
    withFleet(async (fleet) => {
      const id = await planned(fleet);
      await corrupt(fleet, kind);
      await fleet.startWorker({ quarantine: QUARANTINE });
      expect(await fleet.ended(id)).toMatchObject([{ state: 'failed', error: { code: 'artifact_corrupt' } }]);
    }),
  );
});

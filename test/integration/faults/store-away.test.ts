import { chmod, cp, mkdir, readdir, readFile, rename, rmdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { registerArtifact } from '../../../src/platform/artifacts/index.ts';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { createRollout, createRolloutLifecycle, type StoredOptions } from '../../../src/fleet/rollouts/index.ts';
import { eventually } from '../../eventually.ts';
import { createTinyFleet, type TinyFleet } from '../training/tiny-fleet.ts';
import { tasteDataset } from '../../unit/training/support/tiny-task.ts';

const QUARANTINE = { firstDelayMs: 50, longestDelayMs: 200, faults: 3, firstMs: 200, longestMs: 200 };

/** Adapters of the fleet, by what happens to their artifacts. */
const [SOUND, DAMAGED, DAMAGED_ROWS, GONE] = [0, 1, 2, 3] as const;

let fleet: TinyFleet;
let adapters: string[];

beforeAll(async () => {
  fleet = await createTinyFleet({ adapters: 4 });
  adapters = (await fleet.db.adapter.findMany({ orderBy: { name: 'asc' } })).map(({ id }) => id);
});
afterAll(() => fleet.close());

async function planned(): Promise<string> {
  const { db, newVersionId: baseModelVersionId } = fleet;
  const options: Partial<StoredOptions> = { strategy: 'reuse' };
  const { rollout } = await withTransaction(db, (tx) => createRollout(tx, { baseModelVersionId, options }));
  const lifecycle = createRolloutLifecycle({ db });
  const { options: stored } = (await lifecycle.beginAnalysis(rollout.id))!;
  await lifecycle.plan({ id: rollout.id, baseModelVersionId, options: stored as StoredOptions }, new Map());
  return rollout.id;
}

/** Waits until a rollout is completed. @returns its jobs */
async function ended(id: string) {
  await eventually('the rollout is completed', async () => (await fleet.rollouts.get(id, null)).state === 'completed');
  return fleet.jobs(id);
}

/** Gives an adapter files of its own, in place of those that all share. @returns their digest */
async function ownFiles(adapter: number): Promise<string> {
  const adapterId = adapters[adapter]!;
  const folder = path.join(fleet.family.folder, adapterId);
  await cp(fleet.family.adapter, folder, { recursive: true });
  const config = path.join(folder, 'adapter_config.json');
  await writeFile(config, JSON.stringify({ ...JSON.parse(await readFile(config, 'utf8')), revision: adapterId }));
  const stored = await fleet.artifacts.putFolder(folder, 'adapter');
  await withTransaction(fleet.db, async (tx) => {
    await registerArtifact(tx, fleet.artifacts, stored);
    await tx.adapterVersion.updateMany({ where: { adapterId }, data: { artifactDigest: stored.digest } });
  });
  return stored.digest;
}

/** Gives an adapter rows of its own. @returns their digest */
async function ownRows(adapter: number): Promise<string> {
  await fleet.replaceData(adapter, tasteDataset({ search: 16, gate: 32, from: 2000 }));
  const where = { id: adapters[adapter]! };
  const { dataset } = await fleet.db.adapter.findUniqueOrThrow({ where, include: { dataset: true } });
  return dataset!.artifactDigest;
}

/** Changes a byte of an artifact on disk. */
async function corrupt(digest: string): Promise<void> {
  const found = await fleet.artifacts.localPath(digest);
  const file = (await stat(found)).isDirectory() ? path.join(found, (await readdir(found))[0]!) : found;
  const bytes = await readFile(file);
  bytes[bytes.length - 2]! ^= 1;
  await chmod(file, 0o644);
  await writeFile(file, bytes);
}

describe('a job of a rollout', () => {
  let jobs: Awaited<ReturnType<TinyFleet['jobs']>>;
  const jobOf = (adapter: number) => jobs.find(({ adapter_id: id }) => id === adapters[adapter]);

  beforeAll(async () => {
    await corrupt(await ownFiles(DAMAGED));
    await corrupt(await ownRows(DAMAGED_ROWS));
    await fleet.artifacts.remove(await ownFiles(GONE));
    const id = await planned();
    await fleet.startWorker({ quarantine: QUARANTINE });
    jobs = await ended(id);
  });
  // The next rollout has one job.
  afterAll(async () => {
    const others = [DAMAGED, DAMAGED_ROWS, GONE].map((adapter) => adapters[adapter]!);
    await fleet.db.adapter.updateMany({ where: { id: { in: others } }, data: { deletedAt: new Date() } });
  });

  test('fails if an artifact is gone while the store is there, and says so', () => {
    expect(jobOf(GONE)).toMatchObject({ state: 'failed', attempt: 4, error: { code: 'artifact_missing' } });
  });

  test.each([
    ['adapter', DAMAGED],
    ['dataset', DAMAGED_ROWS],
  ])('fails if its %s has changed on disk, and says so', (_, adapter) => {
    expect(jobOf(adapter)).toMatchObject({ state: 'failed', error: { code: 'artifact_corrupt' } });
  });

  test('is carried out if its own artifacts are sound', () => {
    expect(jobOf(SOUND)).toMatchObject({ error: { code: 'gate_not_reached' } });
  });
});

const STORE_AWAY =
  'a store that is not mounted puts jobs off, also with the empty folders of an earlier start in its place, ' +
  'and they end when it is back';
test(STORE_AWAY, async () => {
  const contents = path.join(fleet.dataDir, 'artifacts', 'sha256');
  const away = `${contents}-away`;
  await rename(contents, away);
  const id = await planned();
  const job = async () => (await fleet.jobs(id))[0]!;
  const putOff = async () => {
    const { attempt: before } = await job();
    await eventually('its job was claimed more often than it has attempts', async () => {
      return (await job()).attempt > before + 5;
    });
    expect(['queued', 'preparing']).toContain((await job()).state);
    await eventually('it says why it waits', async () => (await job()).error?.code === 'worker_fault');
  };
  await putOff();
  await mkdir(contents);
  await putOff();
  await rmdir(contents);
  await rename(away, contents);
  expect(await ended(id)).toMatchObject([{ error: { code: 'gate_not_reached' } }]);
});

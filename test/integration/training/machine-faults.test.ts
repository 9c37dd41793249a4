import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { cp, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { createRollout, createRolloutLifecycle, type StoredOptions } from '../../../src/fleet/rollouts/index.ts';
import type { JobEvent } from '../../../core/adaptation/job-events.ts';
import type { RunningWorker } from '../../../workers/start/start-worker.ts';
import { eventually } from '../../eventually.ts';
import { createTinyFleet, type TinyFleet } from './tiny-fleet.ts';

/** Quarantine settings with which jobs retry soon and the worker is briefly quarantined after three faults. */
const QUARANTINE = { firstDelayMs: 10, longestDelayMs: 40, faults: 3, firstMs: 40, longestMs: 40 };

/** Fleet of all tests, whose training process stays warm. */
let shared: TinyFleet;
let fleet: TinyFleet;
const workers: RunningWorker[] = [];

beforeAll(async () => {
  shared = await createTinyFleet({ adapters: 1 });
});
beforeEach(() => {
  fleet = shared;
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const worker of workers.splice(0)) await worker.stop();
});
afterAll(() => shared.close());

async function work(): Promise<void> {
  workers.push(await fleet.startWorker({ quarantine: QUARANTINE }));
}

/** Waits until nothing of the rollouts is left to do. */
const completed = () =>
  eventually(
    'the rollout is completed',
    async () => (await fleet.db.rollout.count({ where: { finishedAt: null } })) === 0,
  );

/** Plans a rollout without a worker, so that its jobs wait. @returns its identifier */
async function planned(options: Partial<StoredOptions>): Promise<string> {
  const { db, newVersionId: baseModelVersionId } = fleet;
  const { rollout } = await withTransaction(db, (tx) => createRollout(tx, { baseModelVersionId, options }));
  const lifecycle = createRolloutLifecycle({ db });
  const { options: stored } = (await lifecycle.beginAnalysis(rollout.id))!;
  await lifecycle.plan({ id: rollout.id, baseModelVersionId, options: stored as StoredOptions }, new Map());
  return rollout.id;
}

/** Records the training process's events of all attempts. */
function listen(): JobEvent[] {
  const events: JobEvent[] = [];
  const { training } = fleet;
  const acquire = training.acquire.bind(training);
  vi.spyOn(training, 'acquire').mockImplementation(async (signal) => {
    const slot = await acquire(signal);
    return {
      ...slot,
      adapt: (spec, onEvent, abort) => slot.adapt(spec, (event) => (events.push(event), onEvent(event)), abort),
    };
  });
  return events;
}

/** Whether all jobs have more than four attempts, the number for which the queue retries a failing job. */
const claimedTooOften = async (rolloutId: string) => (await fleet.jobs(rolloutId)).every((job) => job.attempt > 4);

describe('a model folder that is away', () => {
  const away = () => `${fleet.family.newBase}-away`;

  test('puts the analysis off, and the rollout goes on when it is back', async () => {
    await rename(fleet.family.newBase, away());
    await work();
    const id = await fleet.begin({ strategy: 'reuse' });
    const rollout = () => fleet.db.rollout.findUniqueOrThrow({ where: { id } });
    await eventually('it was begun more often than it may be', async () => (await rollout()).attempt > 6);
    expect(await rollout()).toMatchObject({ state: 'analyzing' });
    await rename(away(), fleet.family.newBase);
    expect(await fleet.ended(id)).toHaveLength(1);
    expect(await rollout()).toMatchObject({ error: null });
    await completed();
  });

  test('puts jobs off more often than they have attempts, and they end when it is back', async () => {
    const id = await planned({ strategy: 'reuse' });
    await rename(fleet.family.newBase, away());
    await work();
    await eventually('its job was claimed more often than it has attempts', () => claimedTooOften(id));
    for (const job of await fleet.jobs(id)) expect(['queued', 'preparing']).toContain(job.state);
    await eventually('a job says why it waits', async () =>
      (await fleet.jobs(id)).some((job) => job.state === 'queued' && job.error?.code === 'worker_fault'),
    );
    await rename(away(), fleet.family.newBase);
    for (const job of await fleet.ended(id)) expect(job).toMatchObject({ error: { code: 'gate_not_reached' } });
    await completed();
  });
});

test('a training process that cannot start puts jobs off', async () => {
  const entry = fileURLToPath(new URL('./not-there.js', import.meta.url));
  fleet = await createTinyFleet({ adapters: 1, training: { entry } });
  onTestFinished(() => fleet.close());
  const id = await planned({ strategy: 'reuse' });
  await work();
  await eventually('its job was claimed more often than it has attempts', () => claimedTooOften(id));
  await eventually('it waits', async () => (await fleet.jobs(id))[0]?.error?.code === 'training_process_not_started');
});

/** Whether this machine may mount file systems (as in CI), which a small file system needs. */
const canMount = process.platform === 'linux' && spawnSync('unshare', ['--mount', 'true']).status === 0;

describe.runIf(canMount)('a full artifact store', () => {
  let store: string;

  beforeEach(async () => {
    store = path.join(fleet.dataDir, 'artifacts');
    const copy = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-store-'));
    await cp(store, copy, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', store]);
    await cp(copy, store, { recursive: true });
    await rm(copy, { recursive: true, force: true });
  });
  afterEach(() => {
    execFileSync('umount', ['--lazy', store]);
  });

  test('puts jobs off with their finished candidates, which are published when there is space', async () => {
    await fleet.db.adapter.updateMany({ data: { gate: { kind: 'absolute', target: 50 } } });
    const id = await planned({ strategy: 'scratch', max_steps: 8 });
    const events = listen();
    fill(path.join(store, 'ballast'));
    await work();
    await eventually('its job was claimed more often than it has attempts', () => claimedTooOften(id));
    for (const job of await fleet.jobs(id)) {
      expect(['failed', 'not_ready', 'ready']).not.toContain(job.state);
      expect(await readdir(path.join(fleet.dataDir, 'checkpoints', job.id))).not.toEqual([]);
    }
    await rm(path.join(store, 'ballast'));
    const first = await eventually('a job is ready', async () =>
      (await fleet.jobs(id)).find((job) => job.published_version_id !== null),
    );
    const version = await fleet.db.adapterVersion.findUniqueOrThrow({ where: { id: first.published_version_id! } });
    await fleet.artifacts.verify(version.artifactDigest);
    for (const job of await fleet.ended(id)) expect(job).toMatchObject({ state: 'ready', error: null });
    // Each attempt offered the candidate, but only the first one made it.
    expect(events.filter(({ type }) => type === 'publication').length).toBeGreaterThan(4);
    expect(events.filter((event) => event.type === 'progress' && event.step === 1)).toHaveLength(1);
  });
});

/** Writes a file until the disk is full. */
function fill(file: string): void {
  const handle = openSync(file, 'w');
  const block = Buffer.alloc(4096);
  try {
    for (;;) writeSync(handle, block);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(handle);
  }
}

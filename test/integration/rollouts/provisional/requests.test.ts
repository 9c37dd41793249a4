import { rm } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { TryLaterError } from '../../../../src/platform/queue/index.ts';
import { newId } from '../../../../src/platform/contract/ids.ts';
import { createDeletionService } from '../../../../src/tenants/deletion/deletion.service.ts';
import { BaseAvailability } from '../../../../workers/bases/base-availability.ts';
import { provisionHandlers } from '../../../../workers/provisional/provision.handler.ts';
import type { TrainingProcess } from '../../../../workers/training/training-process.ts';
import type { Fleet } from '../../queue/fleet.ts';
import { logger } from '../../queue/test-queue.ts';
import { useControlledFleets } from '../control/controlled-fleet.ts';
import { accept, addBase, importAdapter, plan } from '../succession/two-rollouts.ts';

const world = useControlledFleets();

const takeData = (adapterIds: readonly string[]) =>
  world.db.adapter.updateMany({ where: { id: { in: [...adapterIds] } }, data: { datasetId: null } });

const limit = ({ tenants }: Fleet, quotas: Record<string, number>) =>
  world.db.tenant.update({ where: { id: tenants[0]! }, data: { quotas } });

/**
 * Plans a rollout with provisional versions as if by the only worker, which makes none of them.
 * @returns its identifier
 */
async function planned(baseModelVersionId: string): Promise<string> {
  const id = await accept(world.db, baseModelVersionId, { policy: { provisional: 'revert', late: 'join' } });
  await plan({ db: world.db, producer: world.queue.producer }, id);
  return id;
}

/** Number of jobs by their outcome in the planning. */
async function fates(rolloutId: string): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { state, error } of await world.jobsOf(rolloutId)) {
    const fate = error?.code ?? state;
    counts[fate] = (counts[fate] ?? 0) + 1;
  }
  return counts;
}

const requestsOf = (rolloutId: string) => world.db.provisionalRequest.count({ where: { rolloutId } });

/** Device that finds no file. */
function blindDevice(): TrainingProcess {
  const missing = (): Promise<never> => Promise.reject(Object.assign(new Error('no such file'), { code: 'ENOENT' }));
  const session = {
    adapt: missing,
    baselines: missing,
    outcomes: missing,
    provisional: missing,
    evolve: missing,
    describe: missing,
    preload: () => undefined,
    release: () => undefined,
  };
  return { acquire: () => Promise.resolve(session), pid: undefined, stop: () => Promise.resolve() };
}

/**
 * Creates a rollout with requests of adapters without data whose old base is missing, and a worker that reaches one of
 * them.
 */
async function withoutOldBase(adapters: number, unreadableMs?: number) {
  const fleet = await world.fleetOf({ tenants: 1, adapters });
  await takeData(fleet.adapters);
  const id = await planned(fleet.newVersionId);
  await rm(path.join(fleet.folder, 'v1', 'config.json'));
  const { db } = world;
  const availability = new BaseAvailability({ firstDelayMs: 1000 });
  const handlers = provisionHandlers({
    db,
    artifacts: fleet.artifacts,
    producer: world.queue.producer,
    training: blindDevice(),
    availability,
    ...(unreadableMs !== undefined && { unreadableMs }),
  });
  const come = (jobId: string): Promise<unknown> =>
    handlers['adaptation.provision']!({ jobId }, { signal: new AbortController().signal, lastAttempt: false, logger })
      .then(() => 'done')
      .catch((error: unknown) => error);
  return { fleet, id, come, jobs: await world.jobsOf(id) };
}

/** Registers another worker, as shown in the list. */
const another = (unreadableBases: string[]) =>
  world.db.workerProcess.create({
    data: { id: newId('worker'), host: 'other', pid: 1, version: '1', device: 'cpu', state: 'ready', unreadableBases },
  });

describe('requests of adapters without data', () => {
  test('need room in the quota of queued jobs, which jobs with data take first', async () => {
    const fleet = await world.fleetOf({ tenants: 1, adapters: 5 });
    await takeData(fleet.adapters.slice(0, 4));
    await limit(fleet, { queued_jobs: 3 });
    const id = await planned(fleet.newVersionId);
    expect(await fates(id)).toEqual({ held: 1, dataset_missing: 2, quota_exceeded: 2 });
    expect(await requestsOf(id)).toBe(3);
    // Nothing has been made yet, so the requests of this rollout leave room in the next one only for the job with data.
    const next = await planned(await addBase(world.db, fleet));
    expect(await fates(next)).toEqual({ held: 1, quota_exceeded: 4 });
    expect(await requestsOf(next)).toBe(1);
  });

  test('need none for adapters that get no version, and leave it to others', async () => {
    const fleet = await world.fleetOf({ tenants: 1, adapters: 3 });
    const [made, asking] = fleet.adapters as [string, string];
    await takeData(fleet.adapters);
    await world.db.adapter.update({ where: { id: asking }, data: { approval: 'tenant' } });
    const source = await world.db.adapterVersion.findFirstOrThrow({ where: { adapterId: made } });
    const { id: parentVersionId, tenantId, artifactDigest, rank, loraAlpha } = source;
    const like = { tenantId, adapterId: made, artifactDigest, rank, loraAlpha, parentVersionId };
    const version = { ...like, id: newId('adapterVersion'), baseModelVersionId: fleet.newVersionId };
    await world.db.adapterVersion.create({
      data: { ...version, number: 2, origin: 'adapted', provisional: true, superseded: true },
    });
    await limit(fleet, { queued_jobs: 1 });
    const id = await planned(fleet.newVersionId);
    expect(await fates(id)).toEqual({ dataset_missing: 3 });
    expect(await requestsOf(id)).toBe(1);
  });

  test('are not made where the device time of the tenant is used up', async () => {
    const fleet = await world.fleetOf({ tenants: 1, adapters: 2 });
    await takeData(fleet.adapters);
    await limit(fleet, { device_seconds: 0 });
    const id = await planned(fleet.newVersionId);
    expect(await fates(id)).toEqual({ quota_exceeded: 2 });
    expect(await requestsOf(id)).toBe(0);
    expect(await world.rollouts.get(id, null)).toMatchObject({ state: 'completed' });
  });

  test('are not made for a late adapter after the first wave has begun, whose job says what it lacks', async () => {
    const fleet = await world.fleetOf({ tenants: 1, adapters: 1 });
    const id = await planned(fleet.newVersionId);
    await world.db.rollout.update({ where: { id }, data: { wave: 1 } });
    await limit(fleet, { queued_jobs: 1 });
    const late = await importAdapter(world.db, fleet);
    await takeData([late]);
    await world.sweep();
    expect(await fates(id)).toMatchObject({ dataset_missing: 1 });
    expect(await requestsOf(id)).toBe(1);
  });

  test.each(['adapter', 'tenant'] as const)('end with their %s, also where no worker reads the base', async (owner) => {
    const { fleet, id, come, jobs } = await withoutOldBase(2);
    const [one, other] = jobs as [(typeof jobs)[number], (typeof jobs)[number]];
    expect(await come(one.id)).toBeInstanceOf(TryLaterError);
    expect(await come(other.id)).toBeInstanceOf(TryLaterError);
    expect(await requestsOf(id)).toBe(2);
    const deletion = createDeletionService({ db: world.db, producer: world.queue.producer });
    if (owner === 'tenant') await deletion.deleteTenant(fleet.tenants[0]!);
    else for (const adapterId of fleet.adapters) await deletion.deleteAdapter(adapterId, null);
    expect([await come(one.id), await come(other.id)]).toEqual(['done', 'done']);
    expect(await requestsOf(id)).toBe(0);
    expect(await world.rollouts.get(id, null)).toMatchObject({ state: 'completed', jobs: { failed: 2 } });
  });

  test('are given up when no worker has read the old base for long, and wait while one may', async () => {
    const { fleet, id, come, jobs } = await withoutOldBase(1, 0);
    const [{ id: jobId }] = jobs as [(typeof jobs)[number]];
    const other = await another([]);
    expect(await come(jobId)).toBeInstanceOf(TryLaterError);
    expect(await requestsOf(id)).toBe(1);
    await world.db.workerProcess.update({ where: { id: other.id }, data: { unreadableBases: [fleet.oldVersionId] } });
    expect(await come(jobId)).toBeInstanceOf(TryLaterError);
    expect(await requestsOf(id)).toBe(0);
    expect(await world.rollouts.get(id, null)).toMatchObject({ state: 'completed' });
    expect(await come(jobId)).toBe('done');
    expect(await world.eventsOf(jobId)).toEqual(['job.failed', 'job.without_provisional']);
  });
});

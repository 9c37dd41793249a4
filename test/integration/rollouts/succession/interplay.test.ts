import { describe, expect, test } from 'vitest';
import { NO_QUOTAS } from '../../../../src/platform/config/quotas.ts';
import { withTransaction } from '../../../../src/platform/database/database.ts';
import { createRolloutLifecycle, type StoredOptions } from '../../../../src/fleet/rollouts/index.ts';
import { useControlledFleets } from '../control/controlled-fleet.ts';
import { plannedFleetsOf } from '../control/planned-fleet.ts';
import type { Fleet } from '../../queue/fleet.ts';
import { eventually } from '../../../eventually.ts';
import { queueKind } from '../../queue/test-queue.ts';
import { accept, addBase, claim } from './two-rollouts.ts';

const world = useControlledFleets();
const { planned, begun, supersede, rowOf, end, publish, waits, expectInQueue } = plannedFleetsOf(world);
const ONE = { concurrency: 1 } as const;

/** Starts planning a rollout under a quota of queued jobs per tenant. */
async function planWithin(queuedJobs: number, id: string) {
  const lifecycle = createRolloutLifecycle({ db: world.db, quotas: { ...NO_QUOTAS, queued_jobs: queuedJobs } });
  const { baseModelVersionId, options } = (await lifecycle.beginAnalysis(id))!;
  return () => lifecycle.plan({ id, baseModelVersionId, options: options as StoredOptions }, new Map());
}

/** Locks the tenants of a fleet, waits until a rollout's planning waits for them, and then calls `then`. */
async function whilePlanned(fleet: Fleet, id: string, then: (free: boolean) => Promise<unknown>) {
  const { db } = world;
  const begin = await planWithin(1000, id);
  const { planning } = await withTransaction(db, async (tx) => {
    await tx.$queryRaw`SELECT id FROM tenants WHERE id = ANY(${[...fleet.tenants]}::text[]) FOR NO KEY UPDATE`;
    const planning = begin();
    await eventually('the planning waits', async () => {
      const rows = await db.$queryRaw<unknown[]>`
        SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
          AND query LIKE '%FROM tenants%'`;
      return rows.length > 0;
    });
    const [lock] = await tx.$queryRaw<{ free: boolean }[]>`
      SELECT pg_try_advisory_xact_lock(hashtextextended('readapt.start_tags', 0)) AS free`;
    await then(lock!.free);
    return { planning };
  });
  await planning;
}

describe('what happens while a page is planned', () => {
  test('an adapter that is pinned meanwhile keeps its job in the older rollout', async () => {
    const { fleet, second } = await begun(2);
    const third = await accept(world.db, await addBase(world.db, fleet));
    const [pinned, other] = fleet.adapters as [string, string];
    const data = { pinnedBaseModelVersionId: fleet.newVersionId };
    await whilePlanned(fleet, third, () => world.db.adapter.update({ where: { id: pinned }, data }));
    expect(await rowOf(second, pinned)).toMatchObject({ state: 'queued' });
    expect(await rowOf(second, other)).toMatchObject({ state: 'cancelled' });
    const jobs = await world.jobsOf(third);
    expect(jobs.map((job) => [job.adapter_id, job.state])).toEqual([[other, 'queued']]);
  });

  test('start tags are not locked while tenants are waited for, which a retry locks before them', async () => {
    const { fleet, second } = await begun(3, ONE);
    const { adapterId } = await world.db.job.findFirstOrThrow({ where: { rolloutId: second, admission: 'admitted' } });
    const policy = { ...ONE, selection: { adapters: [adapterId] } };
    const third = await accept(world.db, await addBase(world.db, fleet), { policy });
    await whilePlanned(fleet, third, (free) => Promise.resolve(expect(free).toBe(true)));
    expect((await waits(second)).sort()).toEqual(['cancelled', 'queued admitted', 'queued waiting']);
  });
});

describe(`supersession, queue on ${queueKind}`, () => {
  test('leaves no adapter without a job for which the room of its tenant suffices', async () => {
    const fleet = await world.fleetOf({ tenants: 1, adapters: 3 });
    const adapters = [...fleet.adapters].sort() as [string, string, string];
    const policy = { selection: { adapters: [adapters[2]] } };
    const second = await accept(world.db, fleet.newVersionId, { policy });
    await planned(second);
    const third = await accept(world.db, await addBase(world.db, fleet));
    await (
      await planWithin(1, third)
    )();
    const jobs = await Promise.all(adapters.map(async (adapterId) => (await rowOf(third, adapterId)).state));
    expect(jobs).toEqual(['failed', 'failed', 'queued']);
    expect(await waits(second)).toEqual(['cancelled']);
  });

  test('leaves no adapter without a job where the limit of its tenant was lowered below what it has', async () => {
    const { fleet, second } = await begun(3);
    const third = await accept(world.db, await addBase(world.db, fleet));
    await (
      await planWithin(1, third)
    )();
    expect([await waits(second), await waits(third)]).toEqual([Array(3).fill('cancelled'), Array(3).fill('queued')]);
  });

  test('ends a job that awaits its approval, and the newer one awaits it, too', async () => {
    const fleet = await world.fleetOf({ tenants: 1, adapters: 1 });
    await world.db.adapter.updateMany({ data: { approval: 'tenant' }, where: { id: { in: [...fleet.adapters] } } });
    const second = await accept(world.db, fleet.newVersionId);
    await planned(second);
    const third = await supersede(fleet);
    expect([await waits(second), await waits(third)]).toEqual([['cancelled awaited'], ['held awaited']]);
    expect(await world.rollouts.get(second, null)).toMatchObject({ state: 'completed' });
    await expectInQueue(0);
  });

  test('of a rollout in wave 0 ends what is made for its jobs, and the others go on', async () => {
    const { fleet, second } = await begun(2, { provisional: 'reuse' });
    const [taken, left] = fleet.adapters as [string, string];
    const third = await supersede(fleet, { selection: { adapters: [taken] } });
    expect(await rowOf(second, left)).toMatchObject({ state: 'held', wave: 1 });
    await world.work(fleet);
    expect(await world.ended(second, 'completed')).toMatchObject({ jobs: { cancelled: 1, ready: 1 } });
    expect(await world.ended(third, 'completed')).toMatchObject({ jobs: { ready: 1 } });
    expect(await world.db.provisionalRequest.count()).toBe(0);
    expect(await world.db.adapterVersion.count({ where: { adapterId: taken, provisional: true } })).toBe(0);
    expect(await world.db.adapterVersion.count({ where: { adapterId: left, provisional: true } })).toBe(1);
  });

  test('of all jobs in wave 0 completes the rollout, and nothing is made for it', async () => {
    const { fleet, second } = await begun(2, { provisional: 'reuse' });
    await supersede(fleet);
    expect(await world.rollouts.get(second, null)).toMatchObject({ state: 'completed', jobs: { cancelled: 2 } });
    await world.work(fleet);
    await eventually('the requests are over', async () => (await world.db.provisionalRequest.count()) === 0);
    const adapterId = { in: [...fleet.adapters] };
    expect(await world.db.adapterVersion.count({ where: { provisional: true, adapterId } })).toBe(0);
  });

  test('by a rollout with provisional versions starts from what the older job has reached', async () => {
    const { fleet, second } = await begun(2);
    const [adapterId] = fleet.adapters as [string, string];
    const older = await rowOf(second, adapterId);
    const lease = await claim(world.db, older.id);
    const third = await supersede(fleet, { provisional: 'reuse' });
    // The provisional version has the larger number.
    const reached = await publish(fleet, older, lease);
    await world.work(fleet);
    await world.oneIn(third, 'ready');
    const { id } = await rowOf(third, adapterId);
    expect(await world.jobs.get(id, null)).toMatchObject({ state: 'held', waits_for_job_id: older.id });
    expect(await world.db.adapterVersion.count({ where: { provisional: true, adapterId } })).toBe(1);
    await end(older.id, second, lease);
    expect(await world.ended(third, 'completed')).toMatchObject({ jobs: { ready: 2 } });
    expect(await rowOf(third, adapterId)).toMatchObject({ sourceVersionId: reached });
  });
});

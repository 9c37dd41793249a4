import { describe, expect, test, vi } from 'vitest';
import { NO_QUOTAS } from '../../../../src/config/quotas.ts';
import { withTransaction } from '../../../../src/lib/database.ts';
import { createJobLifecycle, jobRecoverySource, type RolloutPolicy } from '../../../../src/modules/jobs/index.ts';
import { createRolloutLifecycle, type StoredOptions } from '../../../../src/modules/rollouts/index.ts';
import type { Fleet } from '../../queue/fleet.ts';
import { eventually, queueKind } from '../../queue/test-queue.ts';
import { accept, addBase, claim, importAdapter, plan } from '../succession/two-rollouts.ts';
import { useControlledFleets } from './controlled-fleet.ts';

const world = useControlledFleets();
const ONE = { concurrency: 1 } as const;
const NOT_READY = { state: 'not_ready', error: { code: 'gate_not_reached', message: 'no' } } as const;

const planned = (id: string) => plan({ db: world.db, producer: world.queue.producer }, id);

/** A rollout to v2, planned without a worker. */
async function begun(adapters: number, policy?: RolloutPolicy, tenants = 1) {
  const fleet = await world.fleetOf({ tenants, adapters });
  const second = await accept(world.db, fleet.newVersionId, policy && { policy });
  await planned(second);
  return { fleet, second };
}

/** The same, and a rollout to v3 that takes its adapters. */
async function supersede(fleet: Fleet, policy?: RolloutPolicy) {
  const third = await accept(world.db, await addBase(world.db, fleet), policy && { policy });
  await planned(third);
  return third;
}

const rowOf = (rolloutId: string, adapterId: string) =>
  world.db.job.findFirstOrThrow({ where: { rolloutId, adapterId, kind: 'adaptation' } });

/** Ends a job as a worker does, which enqueues what that admits. */
async function end(jobId: string, rolloutId: string, lease?: { owner: string }) {
  const { owner } = lease ?? (await claim(world.db, jobId));
  const entries = await createJobLifecycle({ db: world.db }).end({ jobId, owner }, rolloutId, NOT_READY);
  await world.queue.producer.remove('adaptations', [jobId]);
  await world.queue.producer.enqueueAfterCommit(entries);
}

/** By adapter, what each job of a rollout waits for. */
async function waits(rolloutId: string) {
  const jobs = await world.db.job.findMany({ where: { rolloutId }, orderBy: { adapterId: 'asc' } });
  return jobs.map(({ state, admission, approval }) => [state, admission, approval].filter(Boolean).join(' '));
}

/** The sweeper's count of live jobs is that of the queue, and it finds none that is lost. */
async function expectInQueue(count: number) {
  const jobs = jobRecoverySource(world.db);
  const live = (await jobs.live('', 1000)).length;
  const inQueue = await world.queue.producer.count('adaptations');
  expect({ live, counted: await jobs.countLive(), inQueue }).toEqual({ live: count, counted: count, inQueue: count });
}

/** Locks the tenants of a fleet, waits until the planning of a rollout waits for them, and does something then. */
async function whilePlanned(fleet: Fleet, id: string, then: (free: boolean) => Promise<unknown>) {
  const { db } = world;
  const lifecycle = createRolloutLifecycle({ db, quotas: { ...NO_QUOTAS, queued_jobs: 1000 } });
  const { baseModelVersionId, options } = (await lifecycle.beginAnalysis(id))!;
  const { planning } = await withTransaction(db, async (tx) => {
    await tx.$queryRaw`SELECT id FROM tenants WHERE id = ANY(${[...fleet.tenants]}::text[]) FOR NO KEY UPDATE`;
    const planning = lifecycle.plan({ id, baseModelVersionId, options: options as StoredOptions }, new Map());
    await eventually('the planning waits', async () => {
      const rows = await db.$queryRaw<unknown[]>`
        SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%FROM tenants%'`;
      return rows.length > 0;
    });
    const [lock] = await tx.$queryRaw<{ free: boolean }[]>`
      SELECT pg_try_advisory_xact_lock(hashtextextended('readapt.start_tags', 0)) AS free`;
    await then(lock!.free);
    return { planning };
  });
  await planning;
}

describe(`limited concurrency, queue on ${queueKind}`, () => {
  test('a job that is approved waits to be admitted, once', async () => {
    const fleet = await world.fleetOf({ tenants: 2, adapters: 4 });
    const [asking] = [...fleet.adapters].sort() as [string];
    await world.db.adapter.update({ where: { id: asking }, data: { approval: 'tenant' } });
    const id = await accept(world.db, fleet.newVersionId, { policy: ONE });
    await planned(id);
    expect((await waits(id)).sort()).toEqual(['held awaited', 'queued admitted', 'queued waiting', 'queued waiting']);
    const { id: jobId } = await rowOf(id, asking);
    await Promise.all([world.jobs.approve(jobId, null), world.jobs.approve(jobId, null)]);
    expect((await waits(id))[0]).toBe('queued waiting given');
    await expectInQueue(1);
    for (let left = 4; left > 0; left--) {
      await expectInQueue(1);
      const [admitted, ...others] = await world.db.job.findMany({ where: { rolloutId: id, admission: 'admitted' } });
      expect(others).toEqual([]);
      await end(admitted!.id, id);
    }
    await expectInQueue(0);
    expect(await world.rollouts.get(id, null)).toMatchObject({ state: 'completed', jobs: { not_ready: 4 } });
  });

  test('a job that has waited for an older one waits to be admitted', async () => {
    const { fleet, second } = await begun(3);
    const [adapterId] = [...fleet.adapters].sort() as [string];
    const older = await rowOf(second, adapterId);
    const lease = await claim(world.db, older.id);
    const third = await supersede(fleet, ONE);
    expect(await waits(third)).toEqual(['held', 'queued admitted', 'queued waiting']);
    await end(older.id, second, lease);
    await Promise.all([world.sweep(), world.sweep()]);
    expect(await waits(third)).toEqual(['queued waiting', 'queued admitted', 'queued waiting']);
    await expectInQueue(1);
  });

  test('an admitted job that is superseded gives its place to the next one', async () => {
    const { fleet, second } = await begun(3, ONE);
    const admitted = await world.db.job.findFirstOrThrow({ where: { rolloutId: second, admission: 'admitted' } });
    const third = await supersede(fleet, { selection: { adapters: [admitted.adapterId] } });
    expect((await waits(second)).sort()).toEqual(['cancelled', 'queued admitted', 'queued waiting']);
    expect(await waits(third)).toEqual(['queued']);
    await expectInQueue(2);
  });

  test('a job that fails lets the next one into the queue at once', async () => {
    const fleet = await world.fleetOf({ tenants: 1, adapters: 2 });
    const enqueued = vi.spyOn(world.queue.producer, 'enqueueAfterCommit');
    await world.work(fleet);
    const id = await world.start(fleet, { outcome: 'permanent' }, { policy: ONE });
    await world.ended(id, 'completed');
    const ids = enqueued.mock.calls.flatMap(([entries]) => entries.map((entry) => entry.id));
    enqueued.mockRestore();
    for (const job of await world.jobsOf(id)) expect(ids, job.state).toContain(job.id);
  });

  test('a job that is ready, and refined, goes on before others after a pause', async () => {
    const { second: id } = await begun(3, ONE);
    const first = await world.db.job.findFirstOrThrow({ where: { rolloutId: id, admission: 'admitted' } });
    const lease = await claim(world.db, first.id);
    const candidate = { strategy: 'search', fusionAlpha: null, fusionBeta: null, value: 1, certificate: null };
    await createJobLifecycle({ db: world.db }).publish(lease, candidate, () => Promise.resolve('none'));
    await world.rollouts.pause(id);
    await world.rollouts.resume(id);
    const admitted = await world.db.job.findMany({ where: { rolloutId: id, admission: 'admitted' } });
    expect(admitted.map((job) => job.id)).toEqual([first.id]);
    expect(admitted[0]!.startTag).toBeNull();
  });

  test('an adapter that joins late waits to be admitted, or for its tenant, or stays away with its pin', async () => {
    const labels = { ring: 'one' };
    const fleet = await world.fleetOf({ tenants: 1, adapters: 1 });
    await world.db.adapter.updateMany({ where: { id: { in: [...fleet.adapters] } }, data: { labels } });
    const policy = { ...ONE, late: 'join', selection: { labels } } as const;
    const id = await accept(world.db, fleet.newVersionId, { policy });
    await planned(id);
    const [joins, asks, pinned, unlabelled] = await Promise.all([1, 2, 3, 4].map(() => importAdapter(world.db, fleet)));
    const set = (adapterId: string, data: object) => world.db.adapter.update({ where: { id: adapterId }, data });
    await set(asks!, { approval: 'tenant' });
    await set(pinned!, { pinnedBaseModelVersionId: fleet.oldVersionId });
    await set(unlabelled!, { labels: {} });
    await world.sweep();
    const jobs = await world.db.job.findMany({ where: { rolloutId: id } });
    expect(new Set(jobs.map((job) => job.adapterId))).toEqual(new Set([fleet.adapters[0], joins, asks]));
    expect(await rowOf(id, joins!)).toMatchObject({ state: 'queued', admission: 'waiting', wave: 1 });
    const { id: asking, ...held } = await rowOf(id, asks!);
    expect(held).toMatchObject({ state: 'held', admission: null, approval: 'awaited' });
    await world.jobs.approve(asking, null);
    expect(await rowOf(id, asks!)).toMatchObject({ state: 'queued', admission: 'waiting' });
    await expectInQueue(1);
  });
});

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

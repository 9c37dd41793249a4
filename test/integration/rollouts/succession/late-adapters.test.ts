import { describe, expect, test } from 'vitest';
import { withTransaction } from '../../../../src/platform/database/database.ts';
import { createJobLifecycle } from '../../../../src/fleet/job-control/job-lifecycle.ts';
import type { RolloutPolicy } from '../../../../src/fleet/rollouts/policy.schemas.ts';
import { confineTo } from '../../../../src/platform/database/row-security/confined-database.repository.ts';
import { queueKind } from '../../queue/test-queue.ts';
import { useControlledFleets } from '../control/controlled-fleet.ts';
import { accept, addBase, claim, importAdapter, importWithin, plan } from './two-rollouts.ts';

const world = useControlledFleets();
const JOIN = { late: 'join' } as const;

async function adapting(adapters: number, policy: RolloutPolicy = JOIN) {
  const { db } = world;
  const { producer } = world.queue;
  const fleet = await world.fleetOf({ tenants: 1, adapters });
  const id = await accept(db, fleet.newVersionId, { policy });
  await plan({ db, producer }, id);
  return { db, producer, fleet, id };
}

const jobOf = async (rolloutId: string, adapterId: string) =>
  (await world.jobsOf(rolloutId)).find((job) => job.adapter_id === adapterId);

/** Ends all waiting jobs of a rollout. */
async function endAll(rolloutId: string): Promise<void> {
  for (const { id, state } of await world.jobsOf(rolloutId)) {
    if (state !== 'queued') continue;
    const lease = await claim(world.db, id);
    const error = { code: 'gate_not_reached', message: 'no' };
    await createJobLifecycle({ db: world.db }).end(lease, rolloutId, { state: 'not_ready', error });
  }
}

describe(`an adapter that is imported while a rollout goes on, queue on ${queueKind}`, () => {
  test('joins it where its policy says so, and its time begins with the import', async () => {
    const { db, fleet, id } = await adapting(2);
    await db.$executeRaw`UPDATE rollouts SET accepted_at = accepted_at - interval '1 hour' WHERE id = ${id}`;
    const late = await importAdapter(db, fleet);
    await world.sweep();
    const job = await jobOf(id, late);
    expect(job).toMatchObject({ state: 'queued', kind: 'adaptation', wave: 1 });
    expect(job!.phases.queue_wait).toBeLessThan(60_000);
    expect(await world.queue.producer.count('adaptations')).toBe(3);
    expect(await db.lateAdapter.count()).toBe(0);
    await world.work(fleet);
    expect(await world.ended(id, 'completed')).toMatchObject({ jobs: { ready: 3 } });
    const ttr = (await world.jobs.get(job!.id, null)).ttr_ms;
    expect(ttr).toBeLessThan(120_000);
  });

  test('also where its tenant is confined to what is its own', async () => {
    const { db, fleet, id } = await adapting(1);
    const confined = confineTo(db, fleet.tenants[0]!);
    const late = await importAdapter(confined, fleet);
    await expect(confined.lateAdapter.count()).rejects.toThrow();
    await world.sweep();
    expect(await jobOf(id, late)).toMatchObject({ state: 'queued' });
  });

  test('is left to the next one by default, or where it is not among those that the rollout takes', async () => {
    for (const policy of [{}, { ...JOIN, selection: { adapters: [] as string[] } }]) {
      const { db, fleet, id } = await adapting(1, policy);
      const late = await importAdapter(db, fleet);
      await world.sweep();
      expect(await jobOf(id, late)).toBeUndefined();
      expect(await db.lateAdapter.count()).toBe(0);
    }
  });

  test('is not carried back from a newer base', async () => {
    const { db, fleet, id } = await adapting(1);
    const newer = await addBase(db, fleet);
    const late = await importAdapter(db, { ...fleet, oldVersionId: newer });
    expect(await db.lateAdapter.count()).toBe(0);
    // The adapter gets another version on the newer base before the sweep.
    const moved = await importAdapter(db, fleet);
    await db.adapterVersion.updateMany({ where: { adapterId: moved }, data: { baseModelVersionId: newer } });
    await world.sweep();
    expect(await jobOf(id, moved)).toBeUndefined();
    expect(await jobOf(id, late)).toBeUndefined();
  });

  test('joins one that is paused when it goes on, and one that is planned when that is done', async () => {
    const { db, producer, fleet, id } = await adapting(1);
    await world.rollouts.pause(id);
    const late = await importAdapter(db, fleet);
    await world.sweep();
    expect(await jobOf(id, late)).toBeUndefined();
    await world.rollouts.resume(id);
    await world.sweep();
    expect(await jobOf(id, late)).toMatchObject({ state: 'queued' });

    const third = await accept(db, await addBase(db, fleet), { policy: JOIN });
    const later = await importAdapter(db, fleet);
    await world.sweep();
    expect(await jobOf(third, later)).toBeUndefined();
    await plan({ db, producer }, third);
    await world.sweep();
    expect(await jobOf(third, later)).toMatchObject({ state: 'queued' });
    expect(await jobOf(id, later)).toMatchObject({ state: 'cancelled', error: { code: 'superseded' } });
  });

  test('belongs to the wave of its hash, or to the running one where that is over', async () => {
    const { db, fleet, id } = await adapting(20, { ...JOIN, waves: [{ count: 10 }, { count: 9 }] });
    const before = await Promise.all(Array.from({ length: 8 }, () => importAdapter(db, fleet)));
    await world.sweep();
    const first = await Promise.all(before.map((adapterId) => jobOf(id, adapterId)));
    for (const job of first) expect(job!.state).toBe(job!.wave === 1 ? 'queued' : 'held');
    await endAll(id);
    expect((await world.rollouts.get(id, null)).waves).toMatchObject({ released: 2 });
    const after = await Promise.all(Array.from({ length: 8 }, () => importAdapter(db, fleet)));
    await world.sweep();
    const second = await Promise.all(after.map((adapterId) => jobOf(id, adapterId)));
    expect(second.filter((job) => job!.wave === 2 && job!.state === 'queued').length).toBeGreaterThan(0);
    expect(second.filter((job) => job!.wave! < 2)).toEqual([]);
  });

  test('belongs to the next wave where that waits for its approval', async () => {
    const { db, fleet, id } = await adapting(20, { ...JOIN, waves: [{ count: 19 }], approve: 'manual' });
    await endAll(id);
    expect((await world.rollouts.get(id, null)).waves).toMatchObject({ released: 1, awaiting_approval: true });
    const late = await Promise.all(Array.from({ length: 4 }, () => importAdapter(db, fleet)));
    await world.sweep();
    for (const adapterId of late) expect(await jobOf(id, adapterId)).toMatchObject({ state: 'held', wave: 2 });
    await world.rollouts.approve(id, 2);
    expect(await world.rollouts.get(id, null)).toMatchObject({ jobs: { queued: 5 }, waves: { released: 2 } });
  });
});

describe('the end of a rollout', () => {
  test('waits for adapters that are about to join it', async () => {
    const { db, fleet, id } = await adapting(1);
    const late = await importAdapter(db, fleet);
    await endAll(id);
    expect(await world.rollouts.get(id, null)).toMatchObject({ state: 'adapting', jobs: { not_ready: 1 } });
    await world.sweep();
    expect(await jobOf(id, late)).toMatchObject({ state: 'queued' });
    await endAll(id);
    expect(await world.rollouts.get(id, null)).toMatchObject({ state: 'completed', jobs: { not_ready: 2 } });
  });

  test('is not kept off by one that cannot join', async () => {
    const { db, fleet, id } = await adapting(1);
    const late = await importAdapter(db, fleet);
    await db.adapter.update({ where: { id: late }, data: { deletedAt: new Date() } });
    await endAll(id);
    await world.sweep();
    expect(await world.rollouts.get(id, null)).toMatchObject({ state: 'completed', jobs: { not_ready: 1 } });
  });

  test('and an import at the same time: the rollout or the next one takes the adapter', async () => {
    const { db, producer, fleet, id } = await adapting(1);
    const [only] = await world.jobsOf(id);
    const lease = await claim(db, only!.id);
    const error = { code: 'gate_not_reached', message: 'no' };
    // The import has not committed yet when the rollout completes.
    let late = '';
    await withTransaction(db, async (tx) => {
      late = await importWithin(tx, fleet);
      await createJobLifecycle({ db }).end(lease, id, { state: 'not_ready', error });
      expect(await world.rollouts.get(id, null)).toMatchObject({ state: 'completed' });
    });
    expect(await db.lateAdapter.count()).toBe(1);
    await world.sweep();
    expect([await jobOf(id, late), await db.lateAdapter.count()]).toEqual([undefined, 0]);
    const next = await accept(db, fleet.newVersionId, { policy: JOIN });
    await plan({ db, producer }, next);
    expect(await jobOf(next, late)).toMatchObject({ state: 'queued' });
  });
});

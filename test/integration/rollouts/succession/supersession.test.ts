import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { createJobLifecycle } from '../../../../src/fleet/job-control/job-lifecycle.ts';
import type { RolloutOptions } from '../../../../src/fleet/rollouts/index.ts';
import { eventually } from '../../../eventually.ts';
import { queueKind } from '../../queue/test-queue.ts';
import { expectExact, useControlledFleets } from '../control/controlled-fleet.ts';
import { accept, addBase, claim, plan } from './two-rollouts.ts';

const world = useControlledFleets();

/** Starts a rollout to v2 planned without a worker, and adds a base v3. */
async function begun(adapters: number, options: RolloutOptions = {}) {
  const { db } = world;
  const { producer } = world.queue;
  const fleet = await world.fleetOf({ tenants: 1, adapters });
  const second = await accept(db, fleet.newVersionId, options);
  await plan({ db, producer }, second);
  const third = await addBase(db, fleet);
  return { db, producer, fleet, second, third };
}

const end = async (jobId: string, rolloutId: string, owner: string) =>
  createJobLifecycle({ db: world.db }).end({ jobId, owner }, rolloutId, {
    state: 'not_ready',
    error: { code: 'gate_not_reached', message: 'no' },
  });

const jobOf = async (rolloutId: string, adapterId: string) =>
  (await world.jobsOf(rolloutId)).find((job) => job.adapter_id === adapterId && job.kind === 'adaptation')!;

describe(`a rollout to a newer version, queue on ${queueKind}`, () => {
  test('takes the adapters that wait, and those that run from what they have reached', async () => {
    const { db } = world;
    const { producer } = world.queue;
    const fleet = await world.fleetOf({ tenants: 1, adapters: 3 });
    const until = path.join(fleet.folder, 'go-on');
    await world.work(fleet);
    const second = await world.start(fleet, { until }, { control: 'all' });
    const running = await world.oneIn(second, 'fine_tuning');
    const base = await addBase(db, fleet);
    const third = await accept(db, base);
    await plan({ db, producer }, third);
    const waiting = await jobOf(third, running.adapter_id);
    expect(waiting).toMatchObject({ state: 'held', phase: 'held', waits_for_job_id: running.id });
    expect(await world.rollouts.get(third, null)).toMatchObject({ jobs: { held: 1, queued: 2 } });
    expect(await world.rollouts.get(second, null)).toMatchObject({
      state: 'adapting',
      superseded_by: third,
      jobs: { fine_tuning: 1, cancelled: 2 },
      controls: { cancelled: 3 },
    });
    await writeFile(until, '');
    expect(await world.ended(second, 'completed')).toMatchObject({ jobs: { ready: 1, cancelled: 2 } });
    await world.ended(third, 'completed');
    const reached = (await world.jobs.get(running.id, null)).published_version_id;
    const rows = await db.job.findMany({ where: { rolloutId: third }, include: { sourceVersion: true } });
    for (const row of rows) {
      const from = row.adapterId === running.adapter_id ? fleet.newVersionId : fleet.oldVersionId;
      expect(row.sourceVersion!.baseModelVersionId).toBe(from);
    }
    expect(rows.find((row) => row.id === waiting.id)!.sourceVersionId).toBe(reached);
    const after = await world.jobs.get(waiting.id, null);
    expect(after).toMatchObject({ state: 'ready', waits_for_job_id: null });
    expect(after.phases.held).toBeGreaterThan(0);
    expectExact(after);
    for (const job of (await world.jobsOf(second)).filter(({ state }) => state === 'cancelled')) {
      expect(job.error).toMatchObject({ code: 'superseded', rollout_id: third });
      const event = await db.event.findFirstOrThrow({ where: { subjectId: job.id, type: 'job.cancelled' } });
      expect(event.data).toMatchObject({ from: 'queued', reason: 'superseded', superseded_by: third });
    }
    expect(await world.eventsOf(second)).toEqual(
      ['accepted', 'analyzing', 'adapting', 'superseded', 'completed'].map((type) => `rollout.${type}`),
    );
    const versions = await db.adapterVersion.findMany({ where: { adapterId: running.adapter_id } });
    expect(versions.map(({ superseded }) => superseded)).toEqual([false, false, false]);
  });

  test('stops running jobs where its policy says so', async () => {
    const { db } = world;
    const { producer } = world.queue;
    const fleet = await world.fleetOf({ tenants: 1, adapters: 2 });
    await world.work(fleet);
    const second = await world.start(fleet, { hang: true });
    await world.oneIn(second, 'fine_tuning');
    const third = await accept(db, await addBase(db, fleet), { policy: { supersede: 'stop' } });
    await plan({ db, producer }, third);
    expect(await world.rollouts.get(second, null)).toMatchObject({ state: 'completed', jobs: { cancelled: 2 } });
    expect(await world.ended(third, 'completed')).toMatchObject({ jobs: { ready: 2 } });
  });

  test('leaves the adapters alone that it does not take', async () => {
    const { db, producer, fleet, second, third: base } = await begun(3);
    const third = await accept(db, base, { policy: { selection: { adapters: [fleet.adapters[1]!] } } });
    await plan({ db, producer }, third);
    expect((await world.rollouts.get(second, null)).jobs).toEqual({ queued: 2, cancelled: 1 });
    expect(await jobOf(second, fleet.adapters[1]!)).toMatchObject({ state: 'cancelled' });
  });

  test('takes those of a rollout that is still planned, or paused', async () => {
    const { db, producer, fleet, second, third: base } = await begun(2);
    await world.rollouts.pause(second);
    const third = await accept(db, base);
    await plan({ db, producer }, third);
    expect(await world.rollouts.get(second, null)).toMatchObject({ state: 'paused', jobs: { cancelled: 2 } });
    const fourth = await accept(db, await addBase(db, fleet, 'v4'));
    const fifth = await accept(db, await addBase(db, fleet, 'v5'));
    await plan({ db, producer }, fifth);
    expect(await plan({ db, producer }, fourth)).toBe(0);
    expect(await world.rollouts.get(fourth, null)).toMatchObject({
      state: 'completed',
      superseded_by: fifth,
      jobs: {},
    });
    expect(await world.rollouts.get(third, null)).toMatchObject({ state: 'completed', jobs: { cancelled: 2 } });
    expect(await world.rollouts.get(fifth, null)).toMatchObject({ state: 'adapting', jobs: { queued: 2 } });
  });

  const INTERRUPTED_TAKING =
    'has taken nothing before its own bases are analyzed, and goes on where its planning was interrupted';
  test(INTERRUPTED_TAKING, async () => {
    const { db, producer, second, third: base } = await begun(25);
    const third = await accept(db, base);
    expect((await world.rollouts.get(second, null)).jobs).toEqual({ queued: 25 });
    let pages = 0;
    const onPage = () => (++pages === 2 ? Promise.reject(new Error('the process died')) : Promise.resolve());
    await expect(plan({ db, producer, onPage, pageSize: 10 }, third)).rejects.toThrow('died');
    const half = await world.rollouts.get(second, null);
    expect(half.jobs.cancelled).toBeGreaterThanOrEqual(10);
    expect(half.jobs.cancelled).toBeLessThan(25);
    expect(await plan({ db, producer }, third)).toBe(25);
    expect(await world.rollouts.get(second, null)).toMatchObject({ state: 'completed', jobs: { cancelled: 25 } });
    expect(await world.rollouts.get(third, null)).toMatchObject({ state: 'adapting', jobs: { queued: 25 } });
    // The sweeper enqueues the dead process's jobs. Jobs that it did not remove from the queue cannot be claimed.
    await eventually('all that is planned is in the queue', async () => {
      await world.sweep(0);
      return (await world.queue.producer.count('adaptations')) === 25 + 10;
    });
    const stale = await db.job.findFirstOrThrow({ where: { rolloutId: second }, orderBy: { adapterId: 'desc' } });
    expect(await createJobLifecycle({ db }).claim({ jobId: stale.id, owner: 'late' })).toBeNull();
  });

  test('and workers that begin jobs at the same time: no adapter has two at work, or none', async () => {
    const { db, producer, fleet, second, third: base } = await begun(40);
    const third = await accept(db, base);
    const jobs = await world.jobsOf(second);
    const lifecycle = createJobLifecycle({ db });
    const claims = jobs.map(({ id }) => lifecycle.claim({ jobId: id, owner: id }));
    const [claimed] = await Promise.all([Promise.all(claims), plan({ db, producer }, third)]);
    const won = new Set(claimed.flatMap((job) => job?.adapter_id ?? []));
    for (const adapterId of fleet.adapters) {
      const [older, newer] = [await jobOf(second, adapterId), await jobOf(third, adapterId)];
      const expected = won.has(adapterId) ? ['preparing', 'held', older.id] : ['cancelled', 'queued', null];
      expect([older.state, newer.state, newer.waits_for_job_id]).toEqual(expected);
    }
  });
});

describe('a job that waits for an older one', () => {
  async function waiting(options: RolloutOptions = {}) {
    const { db, producer, fleet, second, third: base } = await begun(2);
    const [older] = await world.jobsOf(second);
    const lease = await claim(db, older!.id);
    const third = await accept(db, base, options);
    await plan({ db, producer }, third);
    const { id } = await jobOf(third, older!.adapter_id);
    return { db, fleet, second, third, older: older!, lease, id };
  }

  const OLDER_JOB_FAILS =
    'goes on from its old version when the older one fails, also where the process died that has ended it';
  test(OLDER_JOB_FAILS, async () => {
    const { second, older, lease, id } = await waiting();
    expect(await world.sweep()).toBe(0);
    expect(await world.jobs.get(id, null)).toMatchObject({ state: 'held' });
    await end(older.id, second, lease.owner);
    await world.sweep();
    expect(await world.jobs.get(id, null)).toMatchObject({ state: 'queued', waits_for_job_id: null });
    expect(await world.eventsOf(id)).toEqual(['job.held', 'job.queued']);
    expect(await world.rollouts.get(second, null)).toMatchObject({ state: 'completed' });
  });

  test('does not wait for one that somebody has paused', async () => {
    const { second, third, older, id } = await waiting();
    await world.rollouts.pause(second);
    expect(await world.jobs.get(older.id, null)).toMatchObject({ state: 'paused' });
    await world.sweep();
    expect(await world.jobs.get(older.id, null)).toMatchObject({ state: 'cancelled', error: { code: 'superseded' } });
    expect(await world.jobs.get(id, null)).toMatchObject({ state: 'queued' });
    expect((await world.rollouts.get(third, null)).jobs).toEqual({ queued: 2 });
  });

  test('is held again after a pause, stays so while its rollout is paused, and is cancelled with it', async () => {
    const { second, third, older, lease, id } = await waiting();
    await world.jobs.pause(id, null);
    expect(await world.jobs.resume(id, null)).toMatchObject({ state: 'held', waits_for_job_id: older.id });
    await world.rollouts.pause(third);
    await end(older.id, second, lease.owner);
    await world.sweep();
    expect(await world.jobs.get(id, null)).toMatchObject({ state: 'held' });
    await world.rollouts.resume(third);
    await world.sweep();
    expect(await world.jobs.get(id, null)).toMatchObject({ state: 'queued', waits_for_job_id: null });
    await world.rollouts.cancel(third);
    expect((await world.rollouts.get(third, null)).jobs).toEqual({ cancelled: 2 });
  });

  test('belongs to its wave, which has not ended before it', async () => {
    const { db, producer, second, third: base } = await begun(2);
    const older = await world.jobsOf(second);
    for (const { id } of older) await claim(db, id);
    const third = await accept(db, base, { policy: { waves: [{ count: 1 }] } });
    await plan({ db, producer }, third);
    const released = async () => {
      await world.sweep();
      const { waves, jobs } = await world.rollouts.get(third, null);
      return [waves?.released, jobs];
    };
    expect(await released()).toEqual([1, { held: 2 }]);
    for (const { id } of older) await world.jobs.cancel(id, null);
    // The second wave's job waits for its wave only.
    expect(await released()).toEqual([1, { held: 1, queued: 1 }]);
    const canary = await world.oneIn(third, 'queued');
    expect(canary.wave).toBe(1);
    await world.jobs.cancel(canary.id, null);
    expect(await released()).toEqual([2, { cancelled: 1, queued: 1 }]);
  });

  test('may not be overtaken: the older ones cannot be retried', async () => {
    const { second, third, older, lease } = await waiting();
    await end(older.id, second, lease.owner);
    for (const job of await world.jobsOf(second)) {
      await expect(world.jobs.retry(job.id, null)).rejects.toMatchObject({
        code: 'superseded',
        status: 409,
        details: { rollout_id: third },
      });
    }
    await world.rollouts.cancel(third);
    expect(await world.jobs.retry(older.id, null)).toMatchObject({ state: 'queued' });
  });
});

describe('an older rollout of limited concurrency, while a newer one is planned', () => {
  const admittedOf = async (rolloutId: string) =>
    (await world.db.job.findMany({ where: { rolloutId, admission: 'admitted', finishedAt: null } })).map(
      ({ adapterId }) => adapterId,
    );

  /** Starts planning and dies after two pages of ten. */
  async function planTwoPages(id: string): Promise<void> {
    const { producer } = world.queue;
    const dying = () => Promise.reject(new Error('the process died'));
    const onPage = (page: readonly unknown[]) => (page.length > 0 ? dying() : Promise.resolve());
    await expect(plan({ db: world.db, producer, onPage, pageSize: 10 }, id)).rejects.toThrow('died');
    expect((await world.rollouts.get(id, null)).jobs).toEqual({ queued: 20 });
  }

  test('admits no job of an adapter that the newer one is about to take', async () => {
    const { db, producer, second, third: base } = await begun(21, { policy: { concurrency: 3 } });
    expect(await admittedOf(second)).toHaveLength(3);
    const third = await accept(db, base);
    await planTwoPages(third);
    await world.sweep();
    expect(await admittedOf(second)).toEqual([]);
    expect((await world.rollouts.get(second, null)).jobs).toEqual({ queued: 1, cancelled: 20 });
    expect(await plan({ db, producer }, third)).toBe(21);
    expect(await world.rollouts.get(second, null)).toMatchObject({ state: 'completed', jobs: { cancelled: 21 } });
  });

  test('admits those of others, and of all when the newer one is cancelled', async () => {
    const { db, second, third: base } = await begun(22, { policy: { concurrency: 1 } });
    const adapters = (await db.job.findMany({ where: { rolloutId: second }, orderBy: { adapterId: 'asc' } })).map(
      ({ adapterId }) => adapterId,
    );
    const policy = { selection: { adapters: adapters.slice(0, 21) } };
    const third = await accept(db, base, { policy });
    await planTwoPages(third);
    expect(await admittedOf(second)).toEqual([adapters[21]]);
    await world.rollouts.cancel(third);
    const { id } = await db.job.findFirstOrThrow({ where: { rolloutId: second, adapterId: adapters[21]! } });
    await world.jobs.cancel(id, null);
    expect(await admittedOf(second)).toEqual([adapters[20]]);
  });

  test('admits what the newer one has not taken after all, when that is planned', async () => {
    const { db, producer, fleet, second, third: base } = await begun(2, { policy: { concurrency: 1 } });
    // Neither adapter's new job could run, so both keep the older one.
    await db.adapter.updateMany({ where: { id: { in: [...fleet.adapters] } }, data: { datasetId: null } });
    const { id, adapterId } = await db.job.findFirstOrThrow({ where: { rolloutId: second, admission: 'admitted' } });
    const third = await accept(db, base);
    let between: string[] | null = null;
    const onPage = async () => {
      if (between !== null) return;
      await world.jobs.cancel(id, null);
      between = await admittedOf(second);
    };
    await plan({ db, producer, onPage }, third);
    expect(between).toEqual([]);
    expect(await admittedOf(second)).toEqual(fleet.adapters.filter((other) => other !== adapterId));
  });
});

test('a rollout releases no wave while a newer one takes its adapters', async () => {
  const { db, producer, second, third: base } = await begun(15, { policy: { waves: [{ count: 1 }] } });
  const third = await accept(db, base);
  const dying = () => Promise.reject(new Error('the process died'));
  let entries = 0;
  const onPage = (page: readonly unknown[]) => ((entries += page.length) > 0 ? dying() : Promise.resolve());
  await expect(plan({ db, producer, onPage, pageSize: 10 }, third)).rejects.toThrow('died');
  await world.sweep();
  const { waves, jobs } = await world.rollouts.get(second, null);
  expect([waves?.released, jobs.queued]).toEqual([1, undefined]);
  await plan({ db, producer }, third);
  await eventually('the older one is completed', async () => {
    await world.sweep();
    return (await world.rollouts.get(second, null)).state === 'completed';
  });
});

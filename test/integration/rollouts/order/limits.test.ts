import { describe, expect, test } from 'vitest';
import type { RolloutPolicy } from '../../../../src/fleet/rollouts/policy.schemas.ts';
import { isRolloutWaiting } from '../../../../src/fleet/outcomes/index.ts';
import type { Behavior } from '../../queue/fleet.ts';
import { eventually } from '../../../eventually.ts';
import { queueKind } from '../../queue/test-queue.ts';
import { expectExact, useControlledFleets } from '../control/controlled-fleet.ts';

const world = useControlledFleets();

/** Starts a rollout with the given numbers of adapters and workers. */
async function start(size: { adapters: number; workers: number }, policy: RolloutPolicy, behavior: Behavior = {}) {
  const fleet = await world.fleetOf({ tenants: 2, adapters: size.adapters });
  for (let count = 0; count < size.workers; count++) await world.work(fleet, { ownDevice: true });
  return { fleet, id: await world.start(fleet, behavior, { policy }) };
}

const running = async (id: string) => (await world.jobsOf(id)).filter(({ state }) => state === 'fine_tuning');

/** Waits until `count` jobs are running. */
const runs = (id: string, count: number) =>
  eventually(`${count} jobs run`, async () => {
    const found = await running(id);
    return found.length === count && found;
  });

describe(`concurrency, queue on ${queueKind}`, () => {
  test('so many jobs run at a time, the others wait outside of the queue, and each end lets one in', async () => {
    const { fleet, id } = await start({ adapters: 4, workers: 3 }, { concurrency: 2 }, { hang: true });
    const [first] = await runs(id, 2);
    expect((await world.rollouts.get(id, null)).jobs).toEqual({ queued: 2, fine_tuning: 2 });
    expect(await world.queue.producer.count('adaptations')).toBe(2);
    const waits = await isRolloutWaiting(world.db, { bases: [], jobs: [] });
    expect(waits, 'an idle worker may measure ahead of rollouts').toBe(false);
    // The sweeper does not consider them lost.
    expect(await world.sweep()).toBe(0);
    expect(await world.queue.producer.count('adaptations')).toBe(2);

    await world.jobs.cancel(first!.id, null);
    expect((await runs(id, 2)).map((job) => job.id)).not.toContain(first!.id);
    await fleet.behave({});
    for (const job of await running(id)) await world.jobs.cancel(job.id, null);
    const done = await world.ended(id, 'completed');
    expect(done.jobs).toEqual({ cancelled: 3, ready: 1 });
    const ready = (await world.jobsOf(id)).filter((job) => job.state === 'ready');
    for (const job of ready) {
      expectExact(job);
      expect(job.phases.held).toBe(0);
      expect(job.phases.queue_wait).toBeGreaterThan(0);
    }
    const most = await world.db.$queryRaw<{ most: number }[]>`
      SELECT max((SELECT count(*) FROM jobs o WHERE o.rollout_id = j.rollout_id AND o.started_at <= j.started_at
        AND o.finished_at > j.started_at))::int AS most FROM jobs j WHERE j.rollout_id = ${id}`;
    expect(most).toEqual([{ most: 2 }]);
  });

  test('a paused job lets another one in, and waits when it is resumed', async () => {
    const { fleet, id } = await start({ adapters: 3, workers: 1 }, { concurrency: 1 }, { hang: true });
    const [first] = await runs(id, 1);
    await world.jobs.pause(first!.id, null);
    const [second] = await runs(id, 1);
    expect(second!.id).not.toBe(first!.id);
    await world.jobs.resume(first!.id, null);
    expect(await world.jobs.get(first!.id, null)).toMatchObject({ state: 'queued', phase: 'queue_wait' });
    expect(await world.queue.producer.count('adaptations')).toBe(1);
    await fleet.behave({});
    await world.rollouts.pause(id);
    expect((await world.rollouts.get(id, null)).jobs).toEqual({ paused: 3 });
    await world.rollouts.resume(id);
    expect((await world.ended(id, 'completed')).jobs).toEqual({ ready: 3 });
  });

  test('where nobody has admitted the next job, the sweeper does', async () => {
    const { id } = await start({ adapters: 3, workers: 0 }, { concurrency: 1 });
    await world.plan(id);
    const admissions = () => world.db.job.groupBy({ by: ['admission'], where: { rolloutId: id }, _count: true });
    expect(await admissions()).toEqual(
      expect.arrayContaining([
        { admission: 'admitted', _count: 1 },
        { admission: 'waiting', _count: 2 },
      ]),
    );
    // Nobody settles the rollout at the end of this job.
    await world.db.job.updateMany({
      where: { admission: 'admitted' },
      data: { state: 'cancelled', finishedAt: new Date() },
    });
    await world.sweep();
    const queued = await world.db.job.findMany({ where: { rolloutId: id, state: 'queued', admission: 'admitted' } });
    expect(queued).toHaveLength(1);
    await eventually('it is in the queue', async () => (await world.queue.producer.count('adaptations')) === 2);
  });

  const WAVES =
    'waves and their adapters are kept to, and a budget that suffices and a deadline that is kept change nothing';
  test(WAVES, async () => {
    const policy = { concurrency: 1, budget_device_seconds: 1000, deadline: '2999-01-01T00:00:00+01:00' };
    const { id } = await start({ adapters: 4, workers: 2 }, { ...policy, waves: [{ count: 2 }] });
    expect(await world.ended(id, 'completed')).toMatchObject({ jobs: { ready: 4 }, deadline_missed_at: null });
    const jobs = await world.db.job.findMany({ where: { rolloutId: id }, orderBy: { startedAt: 'asc' } });
    expect(jobs.map((job) => job.wave)).toEqual([1, 1, 2, 2]);
    expect(await world.eventsOf(id)).not.toContain('rollout.paused');
  });
});

test('a budget pauses the rollout when it is spent, and is given once more by each resumption', async () => {
  const { fleet, id } = await start({ adapters: 3, workers: 1 }, { budget_device_seconds: 0.001 });
  for (const ready of [1, 2]) {
    const paused = await eventually(`it pauses after ${ready}`, async () => {
      const { state, ...rollout } = await world.rollouts.get(id, null);
      return state === 'paused' && rollout.jobs.ready === ready && rollout.jobs.paused === 3 - ready && rollout;
    });
    expect(paused.paused_reason).toMatchObject({ code: 'budget_spent', value: expect.any(Number), limit: 0.001 });
    expect((await world.rollouts.get(id, fleet.tenants[0]!)).paused_reason).toEqual({
      code: 'budget_spent',
      message: 'a condition of its policy was not met',
    });
    await world.rollouts.resume(id);
  }
  // Nothing is left at the end that would use more.
  const done = await world.ended(id, 'completed');
  expect(done.jobs).toEqual({ ready: 3 });
  expect((await world.eventsOf(id)).filter((type) => type === 'rollout.paused')).toHaveLength(2);
  const [use] = await world.db.$queryRaw<{ same: boolean }[]>`
    SELECT abs(u.seconds - (SELECT sum(EXTRACT(EPOCH FROM d.ended_at - d.started_at)) FROM device_uses d
      JOIN jobs j ON j.id = d.job_id WHERE j.rollout_id = u.rollout_id)) < 0.1 AS same
    FROM rollout_device_uses u WHERE u.rollout_id = ${id}`;
  expect(use).toEqual({ same: true });
});

test('a deadline that passes is noted once, and the rollout goes on', async () => {
  const { fleet, id } = await start({ adapters: 2, workers: 1 }, { deadline: '2999-01-01T00:00:00Z' }, { hang: true });
  const [first] = await runs(id, 1);
  expect(await world.rollouts.get(id, null)).toMatchObject({ deadline_missed_at: null });
  // Lets the deadline pass now rather than at some time during the planning.
  await world.db.rollout.update({ where: { id }, data: { deadline: new Date() } });
  await eventually('it is missed', async () => (await world.rollouts.get(id, null)).deadline_missed_at);
  await world.sweep();
  await fleet.behave({});
  await world.jobs.cancel(first!.id, null);
  expect((await world.ended(id, 'completed')).jobs).toEqual({ cancelled: 1, ready: 1 });
  const missed = await world.db.event.findMany({ where: { subjectId: id, type: 'rollout.deadline_missed' } });
  expect(missed.map(({ data }) => data)).toEqual([{ deadline: expect.any(String), unfinished: 2 }]);
});

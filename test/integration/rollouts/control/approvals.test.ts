import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import { eventually } from '../../../eventually.ts';
import { queueKind } from '../../queue/test-queue.ts';
import { expectExact, useControlledFleets } from './controlled-fleet.ts';

const world = useControlledFleets();

/** Creates a fleet with a worker, where the first `asking` adapters require their tenants' approval. */
async function fleetWith(adapters: number, asking: number) {
  const fleet = await world.fleetOf({ tenants: 2, adapters });
  const ids = fleet.adapters.slice(0, asking);
  await world.db.adapter.updateMany({ where: { id: { in: ids } }, data: { approval: 'tenant' } });
  await world.work(fleet);
  return fleet;
}

const jobsOf = async (rolloutId: string) => (await world.rollouts.get(rolloutId, null)).jobs;
const settled = (rolloutId: string, jobs: Record<string, number>) =>
  eventually(`the jobs are ${JSON.stringify(jobs)}`, async () => isDeepStrictEqual(await jobsOf(rolloutId), jobs));

describe(`a job that its tenant wants to approve, queue on ${queueKind}`, () => {
  test('is held until then, and begins when it is approved, which one caller does', async () => {
    const fleet = await fleetWith(3, 1);
    const id = await world.start(fleet, {}, { control: 'all' });
    await settled(id, { held: 1, ready: 2 });
    const job = await world.oneIn(id, 'held');
    expect(job).toMatchObject({ adapter_id: fleet.adapters[0], approval: 'awaited', phase: 'held', wave: null });
    expect(await world.sweep()).toBe(0);
    const { state, controls } = await eventually('the controls of the others have ended', async () => {
      const rollout = await world.rollouts.get(id, null);
      return rollout.controls.ready === 2 && rollout;
    });
    expect({ state, controls }).toEqual({ state: 'adapting', controls: { ready: 2 } });
    await Promise.all([world.jobs.approve(job.id, job.tenant_id), world.jobs.approve(job.id, job.tenant_id)]);
    await world.ended(id, 'completed');
    const approved = await world.jobs.get(job.id, null);
    expect(approved).toMatchObject({ state: 'ready', approval: 'given' });
    expect(approved.phases.held).toBeGreaterThan(0);
    expectExact(approved);
    const events = await world.db.event.findMany({ where: { subjectId: job.id }, orderBy: { seq: 'asc' } });
    expect(events.slice(0, 3).map(({ type }) => type)).toEqual(['job.held', 'job.approved', 'job.queued']);
    expect(events[0]!.data).toMatchObject({ approval: 'awaited' });
    await expect(world.jobs.approve(job.id, null)).rejects.toMatchObject({ code: 'job_ended', status: 409 });
  });

  test('does not hold up the waves of others, and is held for its own wave when it is approved before', async () => {
    const fleet = await fleetWith(4, 4);
    const policy = { waves: [{ count: 1 }, { count: 1 }], approve: 'manual' as const };
    const id = await world.start(fleet, {}, { policy });
    // Nobody has approved anything, so the first wave is over immediately.
    await eventually(
      'the second wave waits',
      async () => (await world.rollouts.get(id, null)).waves?.awaiting_approval,
    );
    const jobs = await world.jobsOf(id);
    const [late, early] = [3, 1].map((wave) => jobs.find((job) => job.wave === wave)!) as [
      (typeof jobs)[number],
      (typeof jobs)[number],
    ];
    expect(await world.jobs.approve(late.id, null)).toMatchObject({ state: 'held', approval: 'given' });
    await world.jobs.approve(early.id, null);
    await settled(id, { held: 3, ready: 1 });
    // A job is ready as soon as it has published, but the next wave waits for its end.
    await eventually('the first wave has ended', async () => (await world.jobs.get(early.id, null)).finished_at);
    await world.rollouts.approve(id, 2);
    await world.rollouts.approve(id, 3);
    await settled(id, { held: 2, ready: 2 });
    expect(await world.jobs.get(late.id, null)).toMatchObject({ state: 'ready' });
    // One tenant declines; the other approves in the end.
    const [declined, agreed] = (await world.jobsOf(id)).filter(({ state }) => state === 'held');
    await world.jobs.cancel(declined!.id, null);
    await world.jobs.approve(agreed!.id, null);
    expect((await world.ended(id, 'completed')).jobs).toEqual({ cancelled: 1, ready: 3 });
  });

  test('stays held through a pause of its rollout, and one that is approved meanwhile goes on with it', async () => {
    const fleet = await fleetWith(3, 2);
    const id = await world.start(fleet, {});
    await settled(id, { held: 2, ready: 1 });
    const [approved, waiting] = (await world.jobsOf(id)).filter(({ state }) => state === 'held');
    await world.rollouts.pause(id);
    expect(await world.jobs.approve(approved!.id, null)).toMatchObject({ state: 'held', approval: 'given' });
    expect(await world.sweep()).toBe(0);
    expect(await jobsOf(id)).toEqual({ held: 2, ready: 1 });
    await world.rollouts.resume(id);
    await settled(id, { held: 1, ready: 2 });
    expect(await world.jobs.get(waiting!.id, null)).toMatchObject({ state: 'held', approval: 'awaited' });
    await world.rollouts.cancel(id);
    expect(await jobsOf(id)).toEqual({ cancelled: 1, ready: 2 });
    await expect(world.jobs.approve(waiting!.id, null)).rejects.toMatchObject({ code: 'job_ended' });
  });

  const PAUSED_WHILE_AWAITING =
    'that is paused itself is held again when it is resumed, and waits anew when it is cancelled and retried';
  test(PAUSED_WHILE_AWAITING, async () => {
    const fleet = await fleetWith(1, 1);
    const id = await world.start(fleet, {});
    const job = await world.oneIn(id, 'held');
    expect(await world.jobs.pause(job.id, null)).toMatchObject({ state: 'paused' });
    expect(await world.jobs.resume(job.id, null)).toMatchObject({ state: 'held', approval: 'awaited' });
    await world.jobs.cancel(job.id, null);
    await world.ended(id, 'completed');
    expect(await world.jobs.retry(job.id, null)).toMatchObject({ state: 'held', approval: 'awaited' });
    await world.jobs.pause(job.id, null);
    expect(await world.jobs.approve(job.id, null)).toMatchObject({ state: 'paused', approval: 'given' });
    await world.jobs.resume(job.id, null);
    expect((await world.ended(id, 'completed')).jobs).toEqual({ ready: 1 });
  });

  test('needs no second approval for a retry', async () => {
    const fleet = await fleetWith(1, 1);
    const id = await world.start(fleet, { outcome: 'not_ready' });
    const job = await world.oneIn(id, 'held');
    await world.jobs.approve(job.id, null);
    await world.ended(id, 'completed');
    await fleet.behave({});
    await world.jobs.retry(job.id, null);
    expect((await world.ended(id, 'completed')).jobs).toEqual({ ready: 1 });
  });

  test('and one that nobody has to approve takes an approval without a change', async () => {
    const fleet = await fleetWith(1, 0);
    const id = await world.start(fleet, { hang: true });
    const job = await world.oneIn(id, 'fine_tuning');
    expect(await world.jobs.approve(job.id, null)).toMatchObject({ state: 'fine_tuning', approval: null });
    expect(await world.eventsOf(job.id)).not.toContain('job.approved');
    await world.rollouts.cancel(id);
  });
});

import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { NO_QUOTAS } from '../../../../src/platform/config/quotas.ts';
import { unrecorded } from '../../../../src/platform/contract/record-answer.ts';
import { createJobsByFilter } from '../../../../src/fleet/job-control/by-filter/jobs-by-filter.ts';
import type { RolloutPolicy } from '../../../../src/fleet/rollouts/policy.schemas.ts';
import type { RolloutOptions } from '../../../../src/fleet/rollouts/index.ts';
import type { Behavior } from '../../queue/fleet.ts';
import { eventually } from '../../../eventually.ts';
import { queueKind } from '../../queue/test-queue.ts';
import { expectExact, useControlledFleets } from './controlled-fleet.ts';

const world = useControlledFleets();

/** Starts a rollout of the given number of adapters with a worker. */
async function start(adapters: number, policy: RolloutPolicy, behavior: Behavior = {}, more: RolloutOptions = {}) {
  const fleet = await world.fleetOf({ tenants: 2, adapters });
  await world.work(fleet);
  const id = await world.start(fleet, behavior, { policy, ...more });
  return { fleet, id };
}

const wavesOf = (events: readonly string[]) => events.filter((type) => type.startsWith('rollout.wave'));

describe(`a rollout in waves, queue on ${queueKind}`, () => {
  test('begins each wave when the one before has ended, chosen by the hash of rollout and adapter', async () => {
    const { fleet, id } = await start(4, { waves: [{ count: 1 }, { percent: 40 }] }, {}, { control: 'all' });
    const done = await world.ended(id, 'completed');
    expect(done).toMatchObject({
      jobs: { ready: 4 },
      controls: { ready: 4 },
      waves: { released: 3, total: 3, awaiting_approval: false },
    });
    const jobs = await world.jobsOf(id);
    const inWave = (wave: number) => jobs.filter((job) => job.wave === wave && job.kind === 'adaptation');
    expect([1, 2, 3].map((wave) => inWave(wave).length)).toEqual([1, 2, 1]);
    const rank = (adapterId: string) => createHash('sha256').update(`${id}:${adapterId}`).digest('hex');
    const byRank = [...fleet.adapters].sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
    for (const job of jobs.filter(({ kind }) => kind === 'adaptation')) {
      const place = byRank.indexOf(job.adapter_id);
      expect(job.wave).toBe(place < 1 ? 1 : place < 3 ? 2 : 3);
    }
    for (const wave of [2, 3]) {
      const before = Math.max(...inWave(wave - 1).map((job) => Date.parse(job.finished_at!)));
      for (const job of inWave(wave)) {
        expect(Date.parse(job.started_at!)).toBeGreaterThanOrEqual(before);
        expect(job.phases.held).toBeGreaterThan(0);
      }
    }
    for (const job of jobs) expectExact(job);
    expect(wavesOf(await world.eventsOf(id))).toEqual(['rollout.wave_released', 'rollout.wave_released']);
  });

  test('waits for each approval, which one caller gives', async () => {
    const { id } = await start(3, { waves: [{ count: 1 }], approve: 'manual' });
    const waiting = await eventually('the second wave waits', async () => {
      const rollout = await world.rollouts.get(id, null);
      return rollout.waves?.awaiting_approval === true && rollout;
    });
    expect(waiting).toMatchObject({ state: 'adapting', jobs: { ready: 1, held: 2 }, waves: { released: 1, total: 2 } });
    expect(await world.sweep()).toBe(0);
    await expect(world.rollouts.approve(id, 3)).rejects.toMatchObject({ code: 'wave_not_waiting', status: 409 });
    await world.rollouts.pause(id);
    await expect(world.rollouts.approve(id, 2)).rejects.toMatchObject({ code: 'rollout_paused', status: 409 });
    expect((await world.rollouts.get(id, null)).jobs).toEqual({ ready: 1, held: 2 });
    await world.rollouts.resume(id);
    await Promise.all([world.rollouts.approve(id, 2), world.rollouts.approve(id, 2)]);
    await world.ended(id, 'completed');
    expect(wavesOf(await world.eventsOf(id))).toEqual(['rollout.wave_waiting', 'rollout.wave_released']);
  });

  const UNREADY_CANARY =
    'pauses when too many jobs of the canary are not ready, says why, and goes on when a person resumes it';
  test(UNREADY_CANARY, async () => {
    const { fleet, id } = await start(
      5,
      { waves: [{ count: 2 }], pause_if: { unready_share: 0.4 } },
      { outcome: 'not_ready' },
    );
    const paused = await world.ended(id, 'paused');
    expect(paused.paused_reason).toMatchObject({
      code: 'pause_if',
      condition: 'unready_share',
      value: 1,
      limit: 0.4,
      wave: 1,
      jobs: 2,
    });
    expect(paused.paused_reason!.message).toContain('wave 1: the share of jobs that are not ready or have failed is 1');
    // A tenant does not see the outcomes of other tenants' jobs.
    expect((await world.rollouts.get(id, fleet.tenants[0]!)).paused_reason).toEqual({
      code: 'pause_if',
      message: 'a condition of its policy was not met',
    });
    await eventually('nothing of it runs', async () => (await world.queue.producer.count('adaptations')) === 0);
    expect((await world.rollouts.get(id, null)).jobs).toEqual({ not_ready: 2, held: 3 });
    const event = await world.db.event.findFirstOrThrow({ where: { subjectId: id, type: 'rollout.paused' } });
    expect(event.data).toMatchObject({ from: 'adapting', reason: paused.paused_reason });
    await fleet.behave({});
    await world.rollouts.resume(id);
    expect((await world.ended(id, 'completed')).jobs).toEqual({ not_ready: 2, ready: 3 });
  });

  test('pauses before its wave has ended when enough jobs have', async () => {
    const { id } = await start(4, { pause_if: { unready_share: 0.5, min_jobs: 2 } }, { outcome: 'permanent' });
    expect(await world.ended(id, 'paused')).toMatchObject({ waves: { released: 1, total: 1 }, jobs: { failed: 2 } });
    await eventually('the others are paused', async () => (await world.rollouts.get(id, null)).jobs.paused === 2);
  });

  test.each([
    // The script publishes 0.85 where the old version has 0.9.
    ['have lost too much', 'metric_drop', { limit: 0.02, value: 0.05 }],
    ['are wrong too often where their predecessors were right', 'negative_flips', { limit: 0.1, value: 0.125 }],
  ])('pauses when published versions %s on average', async (_what, condition, { limit, value }) => {
    const policy = { waves: [{ count: 1 }], pause_if: { [condition]: limit } };
    const { id } = await start(2, policy, { negativeFlips: 0.125 });
    const { paused_reason: reason } = await world.ended(id, 'paused');
    expect(reason).toMatchObject({ condition, limit, wave: 1, jobs: 1 });
    expect(reason!.value).toBeCloseTo(value);
    await world.rollouts.cancel(id);
  });

  test.each([
    ['to some adapters, which it carries over', 1, { not_ready: 1, cancelled: 2, ready: 2 }],
    ['to none, and ends', 2, { not_ready: 1, cancelled: 4 }],
  ])('that has paused is narrowed %s when it is resumed', async (_what, tenants, jobs) => {
    const policy = { waves: [{ label: { canary: 'yes' } }], pause_if: { unready_share: 0 } };
    const fleet = await world.fleetOf({ tenants: 2, adapters: 5 });
    await world.db.adapter.update({ where: { id: fleet.adapters[0]! }, data: { labels: { canary: 'yes' } } });
    await world.work(fleet);
    const id = await world.start(fleet, { outcome: 'not_ready' }, { policy });
    await world.ended(id, 'paused');
    await fleet.behave({});
    const { db } = world;
    const byFilter = createJobsByFilter({ db, producer: world.queue.producer, quotas: NO_QUOTAS });
    const filter = { tenants: fleet.tenants.slice(0, tenants) };
    await byFilter.change(id, 'cancel', { filter, scope: null, recordChange: unrecorded });
    expect(await world.rollouts.get(id, null)).toMatchObject({ state: 'paused', waves: { released: 1 } });
    await world.rollouts.resume(id);
    expect((await world.ended(id, 'completed')).jobs).toEqual(jobs);
  });

  test('goes on where its limits are kept', async () => {
    const policy = { waves: [{ count: 1 }], pause_if: { metric_drop: 0.06, unready_share: 0, negative_flips: 0.5 } };
    const { id } = await start(2, policy);
    expect((await world.ended(id, 'completed')).jobs).toEqual({ ready: 2 });
  });

  test('does not wait for a job that its tenant has paused', async () => {
    const { fleet, id } = await start(3, { waves: [{ count: 1 }] }, { hang: true });
    const canary = await world.oneIn(id, 'fine_tuning');
    await fleet.behave({});
    await world.jobs.pause(canary.id, null);
    await eventually('the second wave is ready', async () => (await world.rollouts.get(id, null)).jobs.ready === 2);
    await world.jobs.resume(canary.id, null);
    await world.ended(id, 'completed');
  });

  test('a job of a later wave that is paused and resumed is held again', async () => {
    const { fleet, id } = await start(2, { waves: [{ count: 1 }] }, { hang: true });
    await world.oneIn(id, 'fine_tuning');
    const held = await world.oneIn(id, 'held');
    expect(await world.jobs.pause(held.id, null)).toMatchObject({ state: 'paused' });
    expect(await world.jobs.resume(held.id, null)).toMatchObject({ state: 'held', phase: 'held' });
    await fleet.behave({});
    await world.rollouts.pause(id);
    await world.rollouts.resume(id);
    await world.ended(id, 'completed');
  });

  test('releases a wave whose end nobody has settled', async () => {
    const { id } = await start(2, { waves: [{ count: 1 }] }, { hang: true });
    const canary = await world.oneIn(id, 'fine_tuning');
    await world.db.$executeRaw`
      UPDATE jobs SET state = 'failed', finished_at = now(), lease_owner = NULL, lease_expires_at = NULL
        WHERE id = ${canary.id}`;
    await world.sweep();
    expect((await world.rollouts.get(id, null)).waves).toMatchObject({ released: 2 });
    await world.rollouts.cancel(id);
  });
});

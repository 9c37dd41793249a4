import path from 'node:path';
import { writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { newId } from '../../../../src/platform/contract/ids.ts';
import { createJobLifecycle } from '../../../../src/fleet/job-control/job-lifecycle.ts';
import { eventually } from '../../../eventually.ts';
import { PATIENCE_MS } from '../../../patience.ts';
import { queueKind } from '../../queue/test-queue.ts';
import { expectExact, useControlledFleets } from './controlled-fleet.ts';

/** Time that the request of a paused job has before its training process is killed, in milliseconds. */
const GRACE_MS = 700;

const world = useControlledFleets(GRACE_MS);

describe(`a paused rollout, queue on ${queueKind}`, () => {
  test('stops the running job and starts no queued one, whatever sweeps, and ends as if it had gone on', async () => {
    const fleet = await world.fleetOf({ tenants: 2, adapters: 3 });
    await world.work(fleet);
    const id = await world.start(fleet, { hang: true });
    const running = await world.oneIn(id, 'fine_tuning');
    const paused = await world.rollouts.pause(id);
    expect(paused).toMatchObject({
      state: 'paused',
      jobs: { paused: 3 },
      paused_at: expect.any(String),
      paused_reason: { code: 'requested', message: 'paused by the operator' },
    });
    // The device is released only after the running step has really stopped.
    (await world.training.acquire(AbortSignal.timeout(PATIENCE_MS))).release();
    await eventually('the queue is empty', async () => (await world.queue.producer.count('adaptations')) === 0);
    for (let sweep = 0; sweep < 3; sweep++) expect(await world.sweep()).toBe(0);
    expect(await world.queue.producer.count('adaptations')).toBe(0);
    const held = await world.jobsOf(id);
    expect(held.map(({ state, phase, paused_by }) => [state, phase, paused_by])).toEqual(
      held.map(() => ['paused', 'held', 'rollout']),
    );
    await fleet.behave({});
    expect(await world.rollouts.resume(id)).toMatchObject({ state: 'adapting', paused_at: null, paused_reason: null });
    expect((await world.ended(id, 'completed')).jobs).toEqual({ ready: 3 });
    for (const job of await world.jobsOf(id)) {
      expectExact(job);
      expect(job.phases.held).toBeGreaterThan(0);
      expect(job).toMatchObject({ paused_at: null, paused_by: null });
    }
    expect(await world.db.job.findUniqueOrThrow({ where: { id: running.id } })).toMatchObject({
      attempt: 2,
      excusedAttempts: 1,
    });
    expect(await world.eventsOf(id)).toEqual(
      ['accepted', 'analyzing', 'adapting', 'paused', 'adapting', 'completed'].map((what) => `rollout.${what}`),
    );
    expect((await world.eventsOf(running.id)).slice(-8)).toContain('job.paused');
  });

  test('ends a training process that hears nothing, when its time is up', async () => {
    const fleet = await world.fleetOf({ tenants: 1, adapters: 1 });
    await world.work(fleet);
    const id = await world.start(fleet, { hang: true, deaf: true });
    await world.oneIn(id, 'fine_tuning');
    const { pid } = world.training;
    const began = performance.now();
    await world.rollouts.pause(id);
    (await world.training.acquire(AbortSignal.timeout(PATIENCE_MS))).release();
    expect(performance.now() - began).toBeGreaterThan(0.95 * GRACE_MS);
    await fleet.behave({});
    await world.rollouts.resume(id);
    expect((await world.ended(id, 'completed')).jobs).toEqual({ ready: 1 });
    expect(world.training.pid).not.toBe(pid);
  });

  test('resumed before its worker has noticed, it goes on', async () => {
    const fleet = await world.fleetOf({ tenants: 1, adapters: 2 });
    await world.work(fleet);
    const id = await world.start(fleet, { hang: true });
    await world.oneIn(id, 'fine_tuning');
    await fleet.behave({});
    await world.rollouts.pause(id);
    await world.rollouts.resume(id);
    expect((await world.ended(id, 'completed')).jobs).toEqual({ ready: 2 });
  });

  test('before its analysis, it plans nothing, and its jobs count the pause as held', async () => {
    const fleet = await world.fleetOf({ tenants: 1, adapters: 2 });
    const id = await world.start(fleet, {}, { control: 'all' });
    await world.rollouts.pause(id);
    await world.work(fleet);
    expect(await world.sweep()).toBe(0);
    const { paused_at: pausedAt } = await world.rollouts.get(id, null);
    await eventually('some time passes', () => Promise.resolve(Date.now() - Date.parse(pausedAt!) > 300));
    expect(await world.jobsOf(id)).toEqual([]);
    await world.rollouts.resume(id);
    expect(await world.ended(id, 'completed')).toMatchObject({ jobs: { ready: 2 }, controls: { ready: 2 } });
    // The answer may already show that a worker is analyzing.
    expect(await world.eventsOf(id)).toEqual(
      ['accepted', 'paused', 'planning', 'analyzing', 'adapting', 'completed'].map((what) => `rollout.${what}`),
    );
    for (const job of await world.jobsOf(id)) {
      expectExact(job);
      expect(job.phases.held).toBeGreaterThan(250);
    }
  });

  test('in the middle of its analysis, it stops that, and counts no attempt', async () => {
    const fleet = await world.fleetOf({ tenants: 1, adapters: 2 });
    const id = await world.start(fleet, {});
    await world.db.$executeRaw`
      UPDATE rollouts SET state = 'analyzing', attempt = 5, analysis_started_at = clock_timestamp() WHERE id = ${id}`;
    await world.rollouts.pause(id);
    expect(await world.rollouts.resume(id)).toMatchObject({ state: 'analyzing' });
    await world.work(fleet);
    const rollout = await world.ended(id, 'completed');
    expect(rollout.jobs).toEqual({ ready: 2 });
    for (const job of await world.jobsOf(id)) expectExact(job);
  });

  test('refines no ready job meanwhile', async () => {
    const fleet = await world.fleetOf({ tenants: 1, adapters: 1 });
    const until = path.join(fleet.folder, 'go');
    await world.work(fleet);
    const id = await world.start(fleet, { until });
    const running = await world.oneIn(id, 'fine_tuning');
    // A candidate was published, but the training continues.
    await world.db.$executeRaw`UPDATE jobs SET state = 'ready', ready_at = now(), ttr_ms = 1 WHERE id = ${running.id}`;
    expect((await world.rollouts.pause(id)).jobs).toEqual({ ready: 1 });
    (await world.training.acquire(AbortSignal.timeout(PATIENCE_MS))).release();
    expect(await createJobLifecycle({ db: world.db }).claim({ jobId: running.id, owner: newId('job') })).toBeNull();
    expect(await world.sweep()).toBe(0);
    await writeFile(until, '');
    await world.rollouts.resume(id);
    await world.ended(id, 'completed');
    expect(await world.jobs.get(running.id, null)).toMatchObject({ state: 'ready', ttr_ms: 1, attempt: 2 });
  });

  test('can be cancelled, and not resumed then', async () => {
    const fleet = await world.fleetOf({ tenants: 1, adapters: 2 });
    await world.work(fleet);
    const id = await world.start(fleet, { hang: true });
    await world.oneIn(id, 'fine_tuning');
    await world.rollouts.pause(id);
    const cancelled = await world.rollouts.cancel(id);
    expect(cancelled).toMatchObject({ state: 'cancelled', jobs: { cancelled: 2 }, paused_at: null });
    expect(cancelled.finished_at).not.toBeNull();
    await expect(world.rollouts.resume(id)).rejects.toMatchObject({ code: 'rollout_ended', status: 409 });
    await expect(world.rollouts.pause(id)).rejects.toMatchObject({ code: 'rollout_ended', status: 409 });
  });

  test('measures no baselines meanwhile', async () => {
    const fleet = await world.fleetOf({ tenants: 1, adapters: 1 });
    await world.work(fleet);
    const id = await world.start(fleet, {});
    await world.ended(id, 'completed');
    // A job that left baselines for later, the only thing that the rollout waits for.
    await world.db.$executeRaw`UPDATE jobs SET baselines_pending = TRUE, append_eos = FALSE, append_eos_reason = 'x',
        max_length = 9`;
    await fleet.behave({ baselines: 'hang' });
    await world.db.$executeRaw`UPDATE rollouts SET state = 'adapting', finished_at = NULL WHERE id = ${id}`;
    await eventually('they are measured', async () => (await world.queue.producer.count('adaptations')) === 1);
    await world.rollouts.pause(id);
    await eventually('the queue is empty', async () => (await world.queue.producer.count('adaptations')) === 0);
    expect(await world.sweep()).toBe(0);
    expect((await world.rollouts.get(id, null)).state).toBe('paused');
    await world.rollouts.resume(id);
    await eventually('they are measured again', async () => (await world.queue.producer.count('adaptations')) === 1);
    await world.rollouts.cancel(id);
  });
});

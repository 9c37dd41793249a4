import { access } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { withTransaction } from '../../../../src/platform/database/database.ts';
import { newId } from '../../../../src/platform/contract/ids.ts';
import { createJobLifecycle, JobPausedError } from '../../../../src/fleet/job-control/job-lifecycle.ts';
import { createRollout } from '../../../../src/fleet/rollouts/index.ts';
import { eventually } from '../../../eventually.ts';
import { queueKind } from '../../queue/test-queue.ts';
import { expectExact, useControlledFleets } from './controlled-fleet.ts';

const world = useControlledFleets();

describe(`a paused job, queue on ${queueKind}`, () => {
  test('waits while the others go on, and its rollout waits for it', async () => {
    const fleet = await world.fleetOf({ tenants: 1, adapters: 3 });
    const worker = await world.work(fleet);
    const id = await world.start(fleet, { hang: true });
    const running = await world.oneIn(id, 'fine_tuning');
    await fleet.behave({});
    expect(await world.jobs.pause(running.id, null)).toMatchObject({
      state: 'paused',
      phase: 'held',
      paused_by: 'job',
    });
    await eventually('the others are ready', async () => (await world.rollouts.get(id, null)).jobs.ready === 2);
    await eventually('the queue is empty', async () => (await world.queue.producer.count('adaptations')) === 0);
    expect(await world.sweep()).toBe(0);
    expect(await world.rollouts.get(id, null)).toMatchObject({ state: 'adapting', jobs: { ready: 2, paused: 1 } });
    await access(path.join(fleet.folder, 'data', 'checkpoints', running.id));
    await worker.stop();
    expect(await world.jobs.resume(running.id, null)).toMatchObject({ state: 'queued', paused_by: null });
    await world.work(fleet);
    await world.ended(id, 'completed');
    const after = await world.jobs.get(running.id, null);
    expectExact(after);
    expect(after.phases.held).toBeGreaterThan(0);
    expect(await world.eventsOf(running.id)).toEqual(
      ['queued', 'preparing', 'initializing', 'fine_tuning', 'paused', 'queued', 'preparing', 'initializing']
        .concat(['fine_tuning', 'evaluating', 'ready'])
        .map((state) => `job.${state}`),
    );
  });

  test('stays paused when its rollout is resumed, and is not resumed before that', async () => {
    const fleet = await world.fleetOf({ tenants: 1, adapters: 2 });
    await world.work(fleet);
    const id = await world.start(fleet, { hang: true });
    const running = await world.oneIn(id, 'fine_tuning');
    await world.rollouts.pause(id);
    // The job was paused with its rollout and is now also paused by itself.
    expect(await world.jobs.pause(running.id, null)).toMatchObject({ state: 'paused', paused_by: 'job' });
    await expect(world.jobs.resume(running.id, null)).rejects.toMatchObject({ code: 'rollout_paused', status: 409 });
    await fleet.behave({});
    await world.rollouts.resume(id);
    await eventually('the other is ready', async () => (await world.rollouts.get(id, null)).jobs.ready === 1);
    expect(await world.jobs.get(running.id, null)).toMatchObject({ state: 'paused', paused_by: 'job' });
    await world.jobs.resume(running.id, null);
    await world.ended(id, 'completed');
  });

  test('pausing and resuming again changes nothing, and what has ended can be neither', async () => {
    const fleet = await world.fleetOf({ tenants: 1, adapters: 1 });
    await world.work(fleet);
    const id = await world.start(fleet, { hang: true });
    const { id: jobId } = await world.oneIn(id, 'fine_tuning');
    await fleet.behave({});
    const repeated = async (what: 'pause' | 'resume') => {
      await world.jobs[what](jobId, null);
      const [job, events] = [await world.jobs.get(jobId, null), await world.eventsOf(jobId)];
      return { job, events };
    };
    const first = await repeated('pause');
    expect(await repeated('pause')).toEqual(first);
    await world.jobs.resume(jobId, null);
    await world.jobs.resume(jobId, null);
    expect((await world.eventsOf(jobId)).filter((type) => type === 'job.queued')).toHaveLength(2);
    await world.ended(id, 'completed');
    for (const what of ['pause', 'resume'] as const)
      await expect(world.jobs[what](jobId, null)).rejects.toMatchObject({ code: 'job_ended', status: 409 });
  });

  test('its holder is told that it was paused, and can write no more', async () => {
    const fleet = await world.fleetOf({ tenants: 1, adapters: 1 });
    const worker = await world.work(fleet);
    const id = await world.start(fleet, { hang: true });
    const { id: jobId } = await world.oneIn(id, 'fine_tuning');
    await world.rollouts.pause(id);
    await worker.stop();
    await world.rollouts.resume(id);
    const lifecycle = createJobLifecycle({ db: world.db });
    const lease = { jobId, owner: newId('job') };
    expect(await lifecycle.claim(lease)).toMatchObject({ attempt: 2 });
    await world.jobs.pause(jobId, null);
    await expect(lifecycle.advancePhase(lease, 'fine_tune')).rejects.toThrow(JobPausedError);
    await expect(lifecycle.release(lease, null)).rejects.toThrow(JobPausedError);
    await world.jobs.cancel(jobId, null);
    expect(await world.jobs.get(jobId, null)).toMatchObject({ state: 'cancelled', paused_at: null, paused_by: null });
  });

  test('is left alone by a worker of the version before', async () => {
    const fleet = await world.fleetOf({ tenants: 1, adapters: 1 });
    await world.work(fleet);
    const id = await world.start(fleet, { hang: true });
    const { id: jobId } = await world.oneIn(id, 'fine_tuning');
    await world.jobs.pause(jobId, null);
    // Statements by which that version claims a job and finds jobs with expired leases.
    const claimed = await world.db.$executeRaw`
      UPDATE jobs SET state = 'preparing', lease_owner = 'old' WHERE id = ${jobId} AND (
        state = 'queued' OR state IN ('preparing', 'initializing', 'fine_tuning', 'evaluating')
        OR (state = 'ready' AND finished_at IS NULL)) AND (lease_owner IS NULL OR lease_expires_at < now())`;
    const expired = await world.db.$queryRaw<object[]>`
      SELECT id FROM jobs WHERE lease_expires_at < now() AND finished_at IS NULL AND lease_owner IS NOT NULL`;
    expect([claimed, expired]).toEqual([0, []]);
    // Its sweeper counts the job and enqueues it; a worker then removes it from the queue again.
    await world.queue.producer.enqueue([{ name: 'adaptation.run', id: jobId, payload: { jobId } }]);
    await eventually('the queue is empty', async () => (await world.queue.producer.count('adaptations')) === 0);
    expect(await world.jobs.get(jobId, null)).toMatchObject({ state: 'paused' });
    await world.rollouts.cancel(id);
  });
});

describe(`a retried job, queue on ${queueKind}`, () => {
  test('begins anew, opens its rollout again, and counts the time since its end as held', async () => {
    const fleet = await world.fleetOf({ tenants: 1, adapters: 2 });
    const worker = await world.work(fleet);
    const id = await world.start(fleet, { outcome: 'not_ready' });
    await world.ended(id, 'completed');
    await worker.stop();
    const [job] = await world.jobsOf(id);
    const searched = () => world.db.searchEvaluation.count({ where: { jobId: job!.id } });
    expect(await searched()).toBe(1);
    await fleet.behave({});
    expect(await world.jobs.retry(job!.id, null)).toMatchObject({
      state: 'queued',
      error: null,
      won_strategy: null,
      finished_at: null,
      metric: { best: null },
    });
    expect(await searched()).toBe(0);
    expect(await world.rollouts.get(id, null)).toMatchObject({ state: 'adapting', finished_at: null });
    await world.work(fleet);
    expect(await world.ended(id, 'completed')).toMatchObject({ jobs: { ready: 1, not_ready: 1 } });
    expect(await searched()).toBe(1);
    const after = await world.jobs.get(job!.id, null);
    expect(after).toMatchObject({ state: 'ready', attempt: 2 });
    // The worker uses no checkpoints of the first attempt.
    expect(await world.db.job.findUniqueOrThrow({ where: { id: job!.id } })).toMatchObject({ retriedAfter: 1 });
    expectExact(after);
    expect(after.phases.held).toBeGreaterThan(0);
    expect(await world.eventsOf(id)).toEqual(
      ['accepted', 'analyzing', 'adapting', 'completed', 'adapting', 'completed'].map((what) => `rollout.${what}`),
    );
  });

  test('of two callers one wins, and the other is told that it has not ended', async () => {
    const fleet = await world.fleetOf({ tenants: 1, adapters: 2 });
    const worker = await world.work(fleet);
    const id = await world.start(fleet, { outcome: 'permanent' });
    await world.ended(id, 'completed');
    await worker.stop();
    const [job] = await world.jobsOf(id);
    const both = await Promise.allSettled([world.jobs.retry(job!.id, null), world.jobs.retry(job!.id, null)]);
    expect(both.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(both.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'job_not_ended', status: 409 },
    });
    expect((await world.eventsOf(job!.id)).filter((type) => type === 'job.queued')).toHaveLength(2);
  });

  test('is refused where another rollout is to do it, or its source is gone', async () => {
    const fleet = await world.fleetOf({ tenants: 1, adapters: 2 });
    await world.work(fleet);
    const id = await world.start(fleet, { outcome: 'permanent' });
    await world.ended(id, 'completed');
    const [job, other] = await world.jobsOf(id);
    const refused = (jobId: string) =>
      world.jobs.retry(jobId, null).then(
        () => null,
        (error: { code: string }) => error.code,
      );
    await world.db.adapterVersion.updateMany({
      where: { adapterId: other!.adapter_id },
      data: { deletedAt: new Date() },
    });
    expect(await refused(other!.id)).toBe('source_deleted');
    await fleet.behave({ hang: true });
    const { rollout: next } = await withTransaction(world.db, (tx) =>
      createRollout(tx, { baseModelVersionId: fleet.newVersionId, options: {} }),
    );
    expect(await refused(job!.id)).toBe('rollout_exists');
    await world.rollouts.cancel(next.id);
    await world.db.rollout.update({ where: { id }, data: { state: 'cancelled' } });
    expect(await refused(job!.id)).toBe('rollout_ended');
    await world.db.rollout.update({ where: { id }, data: { state: 'paused' } });
    expect(await refused(job!.id)).toBe('rollout_paused');
  });
});

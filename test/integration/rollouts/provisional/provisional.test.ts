import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { findAdapterRow } from '../../../../src/fleet/adapters/adapter.repository.ts';
import { createCurrentVersionService } from '../../../../src/fleet/adapters/current/current-version.service.ts';
import { createRollbackService } from '../../../../src/fleet/rollbacks/rollback.service.ts';
import type { RolloutPolicy } from '../../../../src/fleet/rollouts/policy.schemas.ts';
import type { Behavior, Fleet } from '../../queue/fleet.ts';
import { eventually } from '../../../eventually.ts';
import { queueKind } from '../../queue/test-queue.ts';
import { expectExact, useControlledFleets } from '../control/controlled-fleet.ts';
import { accept, addBase, plan } from '../succession/two-rollouts.ts';

const world = useControlledFleets();

async function start(adapters: number, policy: RolloutPolicy, behavior: Behavior = {}) {
  const fleet = await world.fleetOf({ tenants: 1, adapters });
  await world.work(fleet);
  const id = await world.start(fleet, behavior, { policy });
  return { db: world.db, fleet, id };
}

const provisionalOf = (adapterId: string) =>
  world.db.adapterVersion.findFirst({ where: { adapterId, provisional: true } });

const countOf = ({ adapters }: Fleet) =>
  world.db.adapterVersion.count({ where: { adapterId: { in: [...adapters] }, provisional: true } });

const currentOf = ({ newVersionId: baseModelVersionId }: Fleet, adapterId: string) =>
  createCurrentVersionService({ db: world.db }).get({ adapterId, baseModelVersionId }, null);

describe(`provisional versions, queue on ${queueKind}`, () => {
  const MADE_FOR_ALL =
    'are made for all before any job begins, also after a fault that passes, and give way to what is published';
  test(MADE_FOR_ALL, async () => {
    const fleet = await world.fleetOf({ tenants: 1, adapters: 2 });
    const file = path.join(fleet.folder, 'failed-once');
    await world.work(fleet);
    const policy: RolloutPolicy = { provisional: 'revert', waves: [{ count: 1 }] };
    const id = await world.start(fleet, { hang: true, provisional: file }, { policy });
    const canary = await world.oneIn(id, 'fine_tuning');
    expect(await readFile(file, 'utf8')).toBe('');
    expect(await countOf(fleet)).toBe(2);
    for (const adapterId of fleet.adapters) {
      const version = (await provisionalOf(adapterId))!;
      expect(version).toMatchObject({ superseded: true, strategy: 'revert', metrics: null, number: 2 });
      expect(version.fusionBeta).toBe(-1);
      expect(version.createdAt.getTime()).toBeLessThan(Date.parse(canary.started_at!));
      expect(await currentOf(fleet, adapterId)).toMatchObject({ version_id: version.id, provisional: true });
      const adapter = (await findAdapterRow(world.db, adapterId, null))!;
      expect(adapter.versions[0]).toMatchObject({ number: 1, provisional: false });
      expect(await world.eventsOf(version.id)).toEqual(['adapter_version.provisional']);
    }
    expect(await world.jobs.get(canary.id, null)).toMatchObject({ published_version_id: null, ttr_ms: null });
    expect(canary.phases.held).toBeGreaterThan(0);
    await fleet.behave({});
    await world.rollouts.pause(id);
    await world.rollouts.resume(id);
    expect(await world.ended(id, 'completed')).toMatchObject({ jobs: { ready: 2 } });
    for (const job of await world.jobsOf(id)) {
      expectExact(job);
      const current = await currentOf(fleet, job.adapter_id);
      expect(current).toMatchObject({ version_id: job.published_version_id, provisional: false });
      // There is nothing to roll back to: the version served before was never measured.
      expect(current.previous_version_id).toBeNull();
      expect((await provisionalOf(job.adapter_id))!.deletedAt).not.toBeNull();
      const row = await world.db.job.findUniqueOrThrow({ where: { id: job.id }, include: { sourceVersion: true } });
      expect(row.sourceVersion).toMatchObject({ number: 1, provisional: false });
    }
  });

  const STAY_WHERE_NOTHING_PASSES =
    'stay, marked, where nothing passes, and the next rollout starts from the real version and makes no other';
  test(STAY_WHERE_NOTHING_PASSES, async () => {
    const { db, fleet, id } = await start(1, { provisional: 'revert' }, { outcome: 'not_ready' });
    await world.ended(id, 'completed');
    const [adapterId] = fleet.adapters as [string];
    const version = (await provisionalOf(adapterId))!;
    expect(await currentOf(fleet, adapterId)).toMatchObject({ version_id: version.id, provisional: true });
    await fleet.behave({});
    const again = await accept(db, fleet.newVersionId, { policy: { provisional: 'revert' } });
    await plan({ db, producer: world.queue.producer }, again);
    await world.ended(again, 'completed');
    expect(await countOf(fleet)).toBe(1);
    const [job] = await world.jobsOf(again);
    const row = await db.job.findUniqueOrThrow({ where: { id: job!.id }, include: { sourceVersion: true } });
    expect(row.sourceVersion).toMatchObject({ number: 1 });
    expect(await currentOf(fleet, adapterId)).toMatchObject({
      version_id: job!.published_version_id,
      previous_version_id: null,
    });
    const third = await accept(db, await addBase(db, fleet), {});
    await plan({ db, producer: world.queue.producer }, third);
    const [next] = await world.jobsOf(third);
    const source = await db.job.findUniqueOrThrow({ where: { id: next!.id }, include: { sourceVersion: true } });
    expect(source.sourceVersionId).toBe(job!.published_version_id);
  });

  const TAKEN_BACK_WITH_ROLLOUT =
    'are taken back with their rollout, and what a person takes back does not keep the published version off';
  test(TAKEN_BACK_WITH_ROLLOUT, async () => {
    const { db, fleet, id } = await start(2, { provisional: 'reuse', approve: 'manual' }, { hang: true });
    const running = await world.oneIn(id, 'fine_tuning');
    const adapterId = running.adapter_id;
    const { id: versionId, ...version } = (await provisionalOf(adapterId))!;
    expect(version).toMatchObject({ superseded: true, strategy: 'reuse', fusionBeta: 0, metrics: null, number: 2 });
    const key = { adapterId, baseModelVersionId: fleet.newVersionId };
    const none = { version_id: null, expected_version_id: versionId };
    await createCurrentVersionService({ db }).set(key, none, null);
    await fleet.behave({ outcome: 'ready' });
    await world.rollouts.pause(id);
    await world.rollouts.resume(id);
    await eventually('it is ready', async () => (await world.jobs.get(running.id, null)).state === 'ready');
    await world.ended(id, 'completed');
    const published = (await world.jobs.get(running.id, null)).published_version_id;
    expect(await currentOf(fleet, adapterId)).toMatchObject({ version_id: published });
    await createRollbackService({ db }).rollBack(id);
    for (const other of fleet.adapters) expect(await currentOf(fleet, other)).toMatchObject({ version_id: null });
  });

  test('that cannot be made, also for an adapter that has killed its worker too often, hold nobody up', async () => {
    const { db } = world;
    const fleet = await world.fleetOf({ tenants: 1, adapters: 2 });
    await fleet.behave({ provisional: 'permanent' });
    const id = await accept(db, fleet.newVersionId, { policy: { provisional: 'revert' } });
    await plan({ db, producer: world.queue.producer }, id);
    const [deadly] = await world.jobsOf(id);
    await db.provisionalRequest.update({ where: { jobId: deadly!.id }, data: { attempt: 10 } });
    await world.work(fleet);
    expect(await world.ended(id, 'completed')).toMatchObject({ jobs: { ready: 2 } });
    expect(await countOf(fleet)).toBe(0);
    for (const job of await world.jobsOf(id)) {
      const event = await db.event.findFirstOrThrow({ where: { subjectId: job.id, type: 'job.without_provisional' } });
      const code = job.id === deadly!.id ? 'too_many_attempts' : 'invalid_adapter';
      expect(event.data).toMatchObject({ rollout_id: id, error: { code } });
    }
  });

  const WITHOUT_DATA =
    'are made for adapters without data to judge them by, whose jobs fail, and the rollout ends when all are made';
  test(WITHOUT_DATA, async () => {
    const { db } = world;
    for (const [adapters, withData] of [
      [2, 1],
      [1, 0],
    ] as const) {
      const fleet = await world.fleetOf({ tenants: 1, adapters });
      const without = [...fleet.adapters].slice(withData);
      await db.adapter.updateMany({ where: { id: { in: without } }, data: { datasetId: null } });
      const id = await accept(db, fleet.newVersionId, { policy: { provisional: 'revert' } });
      await plan({ db, producer: world.queue.producer }, id);
      expect(await world.rollouts.get(id, null)).toMatchObject({ state: 'adapting', waves: { released: 0 } });
      expect(await world.sweep()).toBe(0);
      const worker = await world.work(fleet);
      expect((await world.ended(id, 'completed')).jobs).toMatchObject({ failed: adapters - withData });
      for (const adapterId of without) {
        const version = await provisionalOf(adapterId);
        expect(await currentOf(fleet, adapterId)).toMatchObject({ version_id: version!.id, provisional: true });
      }
      expect(await countOf(fleet)).toBe(adapters);
      await worker.stop();
    }
  });

  test('are not made for an adapter whose tenant has approved nothing yet', async () => {
    const { db } = world;
    const fleet = await world.fleetOf({ tenants: 1, adapters: 2 });
    const [asking, other] = fleet.adapters as [string, string];
    await db.adapter.update({ where: { id: asking }, data: { approval: 'tenant' } });
    await world.work(fleet);
    const id = await world.start(fleet, {}, { policy: { provisional: 'reuse' } });
    const ready = await world.oneIn(id, 'ready');
    expect(ready.adapter_id).toBe(other);
    expect([await provisionalOf(asking), await provisionalOf(other)]).toEqual([null, expect.anything()]);
    expect(await currentOf(fleet, asking)).toMatchObject({ version_id: null });
    await world.jobs.approve((await world.oneIn(id, 'held')).id, null);
    expect((await world.ended(id, 'completed')).jobs).toEqual({ ready: 2 });
  });

  test('of a rollout that is paused or cancelled are not made, and what the queue has lost is', async () => {
    const { db } = world;
    const { producer } = world.queue;
    const fleet = await world.fleetOf({ tenants: 1, adapters: 1 });
    const id = await accept(db, fleet.newVersionId, { policy: { provisional: 'reuse' } });
    await plan({ db, producer }, id);
    expect(await world.rollouts.get(id, null)).toMatchObject({ jobs: { held: 1 }, waves: { released: 0, total: 1 } });
    expect(await producer.count('adaptations')).toBe(1);
    await world.rollouts.pause(id);
    const worker = await world.work(fleet);
    await eventually('the queue is empty', async () => (await producer.count('adaptations')) === 0);
    expect(await countOf(fleet)).toBe(0);
    // The jobs were not enqueued again: the sweeper finds that they are lost.
    await world.rollouts.resume(id);
    await world.ended(id, 'completed');
    expect(await countOf(fleet)).toBe(1);
    await worker.stop();

    const other = await accept(db, await addBase(db, fleet), { policy: { provisional: 'reuse' } });
    await plan({ db, producer }, other);
    await world.rollouts.cancel(other);
    await world.work(fleet);
    await eventually('the requests are gone', async () => (await db.provisionalRequest.count()) === 0);
    expect(await countOf(fleet)).toBe(1);
  });
});

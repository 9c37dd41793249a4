import { describe, expect, test, vi } from 'vitest';
import type { SendResult } from '../../../../src/platform/outgoing/post.ts';
import { createDeletionService } from '../../../../src/tenants/deletion/deletion.service.ts';
import { createForecastService } from '../../../../src/fleet/forecasts/forecast.service.ts';
import { createForecastLifecycle } from '../../../../src/fleet/forecasts/index.ts';
import { jobServices } from '../../support/job-services.ts';
import { createApprovalAsker, type StoredOptions } from '../../../../src/fleet/rollouts/index.ts';
import { confineTo } from '../../../../src/platform/database/row-security/confined-database.repository.ts';
import { eventually } from '../../../eventually.ts';
import { logger, queueKind } from '../../queue/test-queue.ts';
import { accept, claim, importAdapter } from '../succession/two-rollouts.ts';
import { useControlledFleets } from './controlled-fleet.ts';
import { plannedFleetsOf } from './planned-fleet.ts';

const world = useControlledFleets();
const { planned, begun, supersede, rowOf, end, publish, waits, expectInQueue } = plannedFleetsOf(world);
const ONE = { concurrency: 1 } as const;
const APPROVED = { status: 200, body: '{"approved": true}', retryAfterMs: null, latencyMs: 1 };

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

  const PLACE_FREED_BY_DELETION =
    'the deletion of an adapter gives the place of its job to the next one, which is in the queue at once';
  test(PLACE_FREED_BY_DELETION, async () => {
    const { second: id } = await begun(2, ONE);
    const { adapterId } = await world.db.job.findFirstOrThrow({ where: { rolloutId: id, admission: 'admitted' } });
    await createDeletionService({ db: world.db, producer: world.queue.producer }).deleteAdapter(adapterId, null);
    expect((await waits(id)).sort()).toEqual(['cancelled', 'queued admitted']);
    await expectInQueue(1);
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
    const { fleet, second: id } = await begun(3, ONE);
    const first = await world.db.job.findFirstOrThrow({ where: { rolloutId: id, admission: 'admitted' } });
    const lease = await claim(world.db, first.id);
    await publish(fleet, first, lease);
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

describe('a retry', () => {
  test('waits to be admitted, for the approval that was not given, or is admitted where there is room', async () => {
    const fleet = await world.fleetOf({ tenants: 1, adapters: 3 });
    const [asking, ...others] = [...fleet.adapters].sort() as [string, string, string];
    await world.db.adapter.update({ where: { id: asking }, data: { approval: 'tenant' } });
    const id = await accept(world.db, fleet.newVersionId, { policy: ONE });
    await planned(id);
    const [held, first, second] = await Promise.all([asking, ...others].map((adapterId) => rowOf(id, adapterId)));
    await end(first!.id, id);
    await world.jobs.cancel(held!.id, null);
    for (const { id: jobId } of [first!, held!]) await world.jobs.retry(jobId, null);
    expect(await waits(id)).toEqual(['held awaited', 'queued waiting', 'queued admitted']);
    await expectInQueue(1);
    for (const { id: jobId } of [held!, second!, first!]) await world.jobs.cancel(jobId, null);
    expect(await world.rollouts.get(id, null)).toMatchObject({ state: 'completed' });
    await world.jobs.retry(second!.id, null);
    expect(await waits(id)).toEqual(['cancelled awaited', 'cancelled', 'queued admitted']);
    await expectInQueue(1);
  });

  test('of a job that was superseded is possible when the newer rollout is over, in its own order', async () => {
    const { fleet, second } = await begun(2, ONE);
    const third = await supersede(fleet, ONE);
    const [older] = await world.jobsOf(second);
    await expect(world.jobs.retry(older!.id, null)).rejects.toMatchObject({ code: 'superseded' });
    await world.rollouts.cancel(third);
    for (const { id } of await world.jobsOf(second)) await world.jobs.retry(id, null);
    expect((await waits(second)).sort()).toEqual(['queued admitted', 'queued waiting']);
    await expectInQueue(1);
  });

  test('waits for the job to an older version that was retried before', async () => {
    const { fleet, second } = await begun(1);
    const [older] = await world.jobsOf(second);
    const third = await supersede(fleet);
    const [newer] = await world.jobsOf(third);
    await end(newer!.id, third);
    await world.jobs.retry(older!.id, null);
    expect(await world.jobs.retry(newer!.id, null)).toMatchObject({ state: 'held', waits_for_job_id: older!.id });
    await end(older!.id, second);
    await world.sweep();
    expect(await world.jobs.get(newer!.id, null)).toMatchObject({ state: 'queued', waits_for_job_id: null });
  });
});

test('after a pause and a resumption of a rollout, each of its jobs is where it was', async () => {
  const { fleet, second } = await begun(6);
  const adapters = [...fleet.adapters].sort() as [string, string, string];
  const labels = { ring: 'one' };
  await world.db.adapter.updateMany({ where: { id: { in: adapters.slice(0, 5) } }, data: { labels } });
  await world.db.adapter.update({ where: { id: adapters[1] }, data: { approval: 'tenant' } });
  const older = await rowOf(second, adapters[0]);
  const lease = await claim(world.db, older.id);
  const third = await supersede(fleet, { concurrency: 2, waves: [{ label: labels }] });
  const [asks, runs] = [await rowOf(third, adapters[1]), await rowOf(third, adapters[2])];
  const before = ['held', 'held awaited', 'queued admitted', 'queued admitted', 'queued waiting', 'held'];
  expect(await waits(third)).toEqual(before);
  await claim(world.db, runs.id);
  await expectInQueue(3);
  await world.rollouts.pause(third);
  expect(await waits(third)).toEqual(['held', 'held awaited', 'paused', 'paused', 'paused', 'held']);
  await world.rollouts.resume(third);
  expect(await waits(third)).toEqual(before);
  await expectInQueue(3);
  const first = await world.jobs.get((await rowOf(third, adapters[0])).id, null);
  expect(first.waits_for_job_id).toBe(older.id);
  await end(older.id, second, lease);
  await world.sweep();
  await world.jobs.approve(asks.id, null);
  expect((await waits(third)).slice(0, 2)).toEqual(['queued waiting', 'queued waiting given']);
  await expectInQueue(2);
});

test('a tenant controls its own jobs of every kind of waiting, and no others', async () => {
  const fleet = await world.fleetOf({ tenants: 2, adapters: 4, of: [3, 1] });
  const [tenant, other] = fleet.tenants as [string, string];
  const own = (await world.db.adapter.findMany({ where: { tenantId: tenant }, orderBy: { id: 'asc' } })).map(
    ({ id }) => id,
  );
  await world.db.adapter.update({ where: { id: own[0]! }, data: { approval: 'tenant' } });
  const second = await accept(world.db, fleet.newVersionId);
  await planned(second);
  const older = await rowOf(second, own[2]!);
  await claim(world.db, older.id);
  const third = await supersede(fleet, ONE);
  const [asks, runs, held] = (await Promise.all(own.map(async (id) => (await rowOf(third, id)).id))) as [
    string,
    string,
    string,
  ];
  const jobs = jobServices({ db: confineTo(world.db, tenant), producer: world.queue.producer });
  const foreign = jobServices({ db: confineTo(world.db, other), producer: world.queue.producer });
  for (const id of [asks, runs, held]) {
    for (const what of ['approve', 'pause', 'resume', 'cancel', 'retry'] as const) {
      await expect(foreign[what](id, other)).rejects.toMatchObject({ status: 404 });
    }
  }
  expect(await jobs.get(held, tenant)).toMatchObject({ waits_for_job_id: older.id });
  expect(await jobs.approve(asks, tenant)).toMatchObject({ state: 'queued', approval: 'given' });
  expect(await rowOf(third, own[1]!)).toMatchObject({ admission: 'admitted' });
  await jobs.pause(runs, tenant);
  await jobs.resume(runs, tenant);
  expect(await rowOf(third, own[1]!)).toMatchObject({ state: 'queued', admission: 'waiting' });
  await jobs.pause(held, tenant);
  expect(await jobs.resume(held, tenant)).toMatchObject({ state: 'held', waits_for_job_id: older.id });
  for (const id of [asks, runs, held]) expect(await jobs.cancel(id, tenant)).toMatchObject({ state: 'cancelled' });
  expect(await jobs.retry(held, tenant)).toMatchObject({ state: 'held', waits_for_job_id: older.id });
  expect(await jobs.retry(asks, tenant)).toMatchObject({ state: 'queued', approval: 'given' });
  const admitted = await world.db.job.findMany({ where: { rolloutId: third, admission: 'admitted' } });
  expect(admitted.map(({ tenantId }) => tenantId)).toEqual([other]);
});

test('a forecast counts what the rollout then does', async () => {
  const fleet = await world.fleetOf({ tenants: 2, adapters: 8 });
  const [pinned, first, unlabelled, ...others] = fleet.adapters as [string, string, string, ...string[]];
  const set = (ids: string[], data: object) => world.db.adapter.updateMany({ where: { id: { in: ids } }, data });
  await set([pinned, ...others], { labels: { ring: 'two' } });
  await set([first], { labels: { ring: 'two', canary: 'yes' } });
  await set([pinned], { pinnedBaseModelVersionId: fleet.oldVersionId });
  await set([unlabelled, others[0]!], { approval: 'tenant' });
  await set([others[1]!], { datasetId: null });
  const waves = [{ label: { canary: 'yes' } }, { count: 2 }];
  const policy = { ...ONE, waves, selection: { labels: { ring: 'two' } } };
  const id = await accept(world.db, fleet.newVersionId, { policy });
  const { baseModelVersionId, options } = await world.db.rollout.findUniqueOrThrow({ where: { id } });
  const fleetOf = { baseModelVersionId, options: options as StoredOptions, refusals: new Map() };
  await world.db.rollout.update({ where: { id }, data: { analysisStartedAt: new Date() } });
  await createForecastLifecycle({ db: world.db }).keepForRollout(id, fleetOf);
  await planned(id);
  const forecast = await createForecastService({ db: world.db, producer: world.queue.producer }).ofRollout(id);
  const { left_out: leftOut, jobs } = await world.rollouts.get(id, null);
  const skipped = Object.fromEntries(forecast.skipped.map(({ reason, adapters }) => [reason, adapters]));
  expect(skipped).toEqual({ ...leftOut, dataset_missing: jobs.failed });
  expect(leftOut).toEqual({ pinned: 1, not_selected: 1 });
  expect(forecast.adapters).toEqual({ total: 8, taken: 5, skipped: 3 });
  const inWaves = await world.db.job.groupBy({
    by: ['wave'],
    where: { rolloutId: id },
    _count: true,
    orderBy: { wave: 'asc' },
  });
  expect(inWaves.map(({ _count: count }) => count)).toEqual(forecast.waves);
  expect(forecast.waves).toEqual([1, 2, 3]);
});

const BUDGET_AND_APPROVAL =
  'a rollout that its budget pauses while a wave waits for an approval begins that wave only when it goes on';
test(BUDGET_AND_APPROVAL, async () => {
  const leaseOf = async () =>
    (await world.db.approvalRequest.findFirstOrThrow({ where: { rolloutId: id } })).leaseOwner;
  const answers: ((result: SendResult) => void)[] = [];
  const asker = createApprovalAsker({
    db: world.db,
    producer: world.queue.producer,
    post: () => () => new Promise((resolve) => answers.push(resolve)),
    secrets: [`whsec_${Buffer.alloc(32, 3).toString('base64')}`],
    logger,
    delayMs: () => 1,
    intervalMs: 20,
  });
  const policy = { waves: [{ count: 1 }], approve: { url: 'https://example.com' }, budget_device_seconds: 1000 };
  const { second: id } = await begun(3, policy);
  const [first] = await world.db.job.findMany({ where: { rolloutId: id, state: 'queued' } });
  await end(first!.id, id);
  asker.start();
  try {
    await eventually('it is asked', () => Promise.resolve(answers.length === 1));
    const spent = { seconds: 2000 };
    await world.db.rolloutDeviceUse.upsert({
      where: { rolloutId: id },
      create: { rolloutId: id, ...spent },
      update: spent,
    });
    await world.jobs.cancel((await world.oneIn(id, 'held')).id, null);
    expect(await world.rollouts.get(id, null)).toMatchObject({
      state: 'paused',
      paused_reason: { code: 'budget_spent' },
    });
    await expect(world.rollouts.approve(id, 2)).rejects.toMatchObject({ code: 'rollout_paused' });
    answers[0]!(APPROVED);
    await eventually('the answer is read', async () => (await leaseOf()) === null);
    await world.rollouts.resume(id);
    await eventually('it is asked again', () => Promise.resolve(answers.length === 2));
    expect(await world.rollouts.get(id, null)).toMatchObject({
      state: 'adapting',
      waves: { released: 1, awaiting_approval: true },
    });
    answers[1]!(APPROVED);
    await world.oneIn(id, 'queued');
    expect(await world.rollouts.get(id, null)).toMatchObject({ waves: { released: 2, awaiting_approval: false } });
    await eventually('it is in the queue', async () => (await world.queue.producer.count('adaptations')) === 1);
    await expectInQueue(1);
  } finally {
    await asker.stop();
  }
});

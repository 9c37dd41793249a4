import { beforeAll, expect, test } from 'vitest';
import { withTransaction, type Database } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import {
  createRollout,
  createRolloutLifecycle,
  createRolloutService,
  type RolloutOptions,
} from '../../../src/fleet/rollouts/index.ts';
import { jobRecoverySource } from '../../../src/fleet/rollouts/order/job-recovery.ts';
import { createSweeper } from '../../../src/platform/queue/index.ts';
import { timeProcessor } from '../../processor-time.ts';
import type { Fleet } from '../queue/fleet.ts';
import { planEntries } from '../queue/plan-entries.ts';
import { useQueueWithFleets } from '../queue/queue-with-fleets.ts';
import { logger, queueKind, type TestQueue } from '../queue/test-queue.ts';

const world = useQueueWithFleets();
let queue: TestQueue;
let db: Database;
beforeAll(() => {
  ({ queue } = world);
  ({ db } = queue.database);
});

function fleetOf(adapters: number, tenants = 2): Promise<Fleet> {
  return world.fleetOf({ tenants, adapters });
}

/** Creates a rollout and plans it without analysis. */
async function plan(
  fleet: Fleet,
  options: RolloutOptions = {},
  refusals = new Map<string, { code: string; message: string }>(),
) {
  const { rollout } = await withTransaction(db, (tx) =>
    createRollout(tx, { baseModelVersionId: fleet.newVersionId, options }),
  );
  const lifecycle = createRolloutLifecycle({ db });
  const row = await lifecycle.beginAnalysis(rollout.id);
  const stored = row!.options as Parameters<typeof lifecycle.plan>[0]['options'];
  const request = { id: rollout.id, baseModelVersionId: fleet.newVersionId, options: stored };
  return { id: rollout.id, lifecycle, request, entries: await planEntries(lifecycle, request, refusals) };
}
const show = (id: string) => createRolloutService({ db, producer: queue.producer }).get(id, null);

test('plans the newest version of every adapter that is not on the new base yet', async () => {
  const fleet = await fleetOf(3);
  const [carried, twice, once] = fleet.adapters as [string, string, string];
  const versionOf = async (adapterId: string, number: number, baseModelVersionId: string) => {
    const first = await db.adapterVersion.findFirstOrThrow({ where: { adapterId } });
    const id = newId('adapterVersion');
    const data = {
      ...first,
      source: undefined,
      metrics: undefined,
      servedFeatures: undefined,
      id,
      number,
      baseModelVersionId,
    };
    await db.adapterVersion.create({ data });
    return id;
  };
  await versionOf(carried, 2, fleet.newVersionId);
  const newest = await versionOf(twice, 2, fleet.oldVersionId);
  const { id, entries } = await plan(fleet);
  const jobs = await db.job.findMany({ where: { rolloutId: id } });
  expect(jobs.map((job) => job.adapterId).sort()).toEqual([twice, once].sort());
  expect(jobs.find((job) => job.adapterId === twice)!.sourceVersionId).toBe(newest);
  expect(entries!.map((entry) => entry.id).sort()).toEqual(jobs.map((job) => job.id).sort());
  expect(await db.outboxEntry.count({ where: { queue: 'adaptations' } })).toBe(2);
});

test('other base models are left alone', async () => {
  const [fleet] = [await fleetOf(1), await fleetOf(2)];
  const { id } = await plan(fleet);
  expect((await db.job.findMany({ where: { rolloutId: id } })).map((job) => job.adapterId)).toEqual(fleet.adapters);
});

test('a fleet without adapters is done at once', async () => {
  const { id, entries } = await plan(await fleetOf(0));
  expect(entries).toEqual([]);
  expect(await show(id)).toMatchObject({ state: 'completed', summary: { adapters: 0, makespan_ms: null } });
});

test('clocks start at acceptance: waiting until the analysis, then evolution; a control only waits', async () => {
  const { id } = await plan(await fleetOf(1), { control: 'all' });
  const rollout = await db.rollout.findUniqueOrThrow({ where: { id } });
  const jobs = await db.job.findMany({ where: { rolloutId: id } });
  const [adaptation, control] = [
    jobs.find((job) => job.kind === 'adaptation')!,
    jobs.find((job) => job.kind === 'control')!,
  ];
  const waited = rollout.analysisStartedAt!.getTime() - rollout.acceptedAt.getTime();
  expect(Math.abs(adaptation.queueWaitMs - waited)).toBeLessThanOrEqual(1);
  expect(adaptation.evolutionMs).toBeGreaterThan(0);
  expect(control.evolutionMs).toBe(0);
  for (const job of [adaptation, control]) {
    const sinceAcceptance = job.phaseSince.getTime() - rollout.acceptedAt.getTime();
    expect(Math.abs(job.queueWaitMs + job.evolutionMs - sinceAcceptance)).toBeLessThanOrEqual(1);
  }
});

test('the control sample is half of the fleet, the same for the same seed', async () => {
  const fleet = await fleetOf(6);
  const sampled: string[][] = [];
  for (const seed of [1, 1, 2]) {
    const { id } = await plan(fleet, { control: 'sample', control_fraction: 0.5, seed });
    const controls = await db.job.findMany({ where: { rolloutId: id, kind: 'control' } });
    sampled.push(controls.map((job) => job.adapterId).sort());
    await createRolloutService({ db, producer: queue.producer }).cancel(id);
  }
  expect(sampled.map((sample) => sample.length)).toEqual([3, 3, 3]);
  expect(sampled[0]).toEqual(sampled[1]);
});

test('an adapter that cannot be carried over is a failed job that says why', async () => {
  const fleet = await fleetOf(2);
  const [noData] = fleet.adapters as [string, string];
  await db.adapter.update({ where: { id: noData }, data: { datasetId: null } });
  const { id, entries } = await plan(fleet, { control: 'all' });
  const failed = await db.job.findFirstOrThrow({ where: { rolloutId: id, state: 'failed' } });
  expect(failed).toMatchObject({ adapterId: noData, error: { code: 'dataset_missing' } });
  expect(entries).toHaveLength(2);
  const events = await db.event.findMany({ where: { subjectId: failed.id, isCopy: false } });
  expect(events).toMatchObject([{ type: 'job.failed', tenantId: failed.tenantId }]);
});

test('adapters on a refused base model version fail, and if those are all, the rollout ends', async () => {
  const fleet = await fleetOf(2);
  const refusal = { code: 'incompatible_base_model_versions', message: 'other hidden size' };
  const { id, entries } = await plan(fleet, {}, new Map([[fleet.oldVersionId, refusal]]));
  expect(entries).toEqual([]);
  expect(await show(id)).toMatchObject({ state: 'completed', jobs: { failed: 2 } });
});

test('a rollout is planned once, and not at all when it was cancelled meanwhile', async () => {
  const fleet = await fleetOf(2);
  const planned = await plan(fleet);
  expect(await planned.lifecycle.plan(planned.request, new Map())).toBeNull();
  expect(await db.job.count({ where: { rolloutId: planned.id } })).toBe(2);
  await createRolloutService({ db, producer: queue.producer }).cancel(planned.id);
  const { rollout } = await withTransaction(db, (tx) =>
    createRollout(tx, { baseModelVersionId: fleet.newVersionId, options: {} }),
  );
  await planned.lifecycle.beginAnalysis(rollout.id);
  await createRolloutService({ db, producer: queue.producer }).cancel(rollout.id);
  expect(await planned.lifecycle.plan({ ...planned.request, id: rollout.id }, new Map())).toBeNull();
  expect(await planned.lifecycle.fail(rollout.id, { code: 'x' })).toBe(false);
  expect(await planned.lifecycle.beginAnalysis(rollout.id)).toBeNull();
  expect(await db.job.count({ where: { rolloutId: rollout.id } })).toBe(0);
});

test('two requests for the same version make one rollout', async () => {
  const fleet = await fleetOf(1);
  const service = createRolloutService({ db, producer: queue.producer });
  const results = await Promise.allSettled(
    [1, 2, 3].map(() => service.create({ base_model_version_id: fleet.newVersionId })),
  );
  expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
  for (const result of results)
    if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'rollout_exists', status: 409 });
});

const BULK_PLANNING = `1,000 adapters are planned and queued on ${queueKind} in bulk`;
test(`${BULK_PLANNING}, and the sweeper finds nothing to add`, async () => {
  const fleet = await fleetOf(1000, 10);
  const { result, processorMs } = await timeProcessor(async () => {
    const made = await plan(fleet, { control: 'sample', control_fraction: 0.1 });
    await queue.producer.enqueueAfterCommit(made.entries!);
    return made;
  });
  const { id, entries } = result;
  expect(entries).toHaveLength(1100);
  expect(processorMs).toBeLessThan(1000);
  expect(await queue.producer.count('adaptations')).toBe(1100);
  expect(await db.event.count({ where: { type: 'job.queued', data: { path: ['rollout_id'], equals: id } } })).toBe(
    1100,
  );
  const sweeper = createSweeper({ db, producer: queue.producer, sources: [jobRecoverySource(db)], logger, graceMs: 0 });
  // One entry is the rollout's own, which this test left in the outbox.
  expect(await sweeper.sweep()).toBe(1);
  expect(await sweeper.sweep()).toBe(0);
  expect(await queue.producer.count('adaptations')).toBe(1100);
});

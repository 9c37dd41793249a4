import { describe, expect, test } from 'vitest';
import type { RolloutOptions } from '../../../../src/fleet/rollouts/index.ts';
import { addVersion, type Behavior } from '../../queue/fleet.ts';
import { eventually } from '../../../eventually.ts';
import { queueKind } from '../../queue/test-queue.ts';
import { useControlledFleets } from '../control/controlled-fleet.ts';
import { accept, plan } from '../succession/two-rollouts.ts';

const world = useControlledFleets();

/** Behavior of jobs of which only the start matters. */
const BRIEF: Behavior = { outcome: 'refused' };

const rollOut = async (baseModelVersionId: string, options: RolloutOptions = {}): Promise<string> =>
  (await world.rollouts.create({ base_model_version_id: baseModelVersionId, options })).id;

/** Tenants of the started jobs, in the order of their start. */
async function begun(rolloutId?: string): Promise<string[]> {
  const jobs = await world.db.job.findMany({
    where: { rolloutId, startedAt: { not: null } },
    orderBy: { startedAt: 'asc' },
  });
  return jobs.map(({ tenantId }) => tenantId);
}

/** Waits until `count` jobs of a tenant have started. @returns their positions, from 1, among all started jobs */
async function placesOf(tenantId: string, count: number): Promise<number[]> {
  return eventually(`${count} jobs of a tenant have begun`, async () => {
    const tenants = await begun();
    const places = tenants.flatMap((tenant, index) => (tenant === tenantId ? [index + 1] : []));
    return places.length >= count && places.slice(0, count);
  });
}

/** Times to readiness of the ready jobs by tenant, ascending. */
async function timesOf(rolloutId: string): Promise<Map<string, number[]>> {
  const ready = await world.db.job.findMany({
    where: { rolloutId, ttrMs: { not: null } },
    orderBy: { ttrMs: 'asc' },
    take: 100,
  });
  const times = new Map<string, number[]>();
  for (const { tenantId, ttrMs } of ready) times.set(tenantId, [...(times.get(tenantId) ?? []), ttrMs!]);
  return times;
}

async function weigh(tenantId: string, weight: number): Promise<void> {
  await world.db.tenant.update({ where: { id: tenantId }, data: { quotas: { weight } } });
}

describe(`the fair order, queue on ${queueKind}`, () => {
  test('a tenant with 100 adapters holds up one with 3 by three jobs, also in their times to readiness', async () => {
    const fleet = await world.fleetOf({ tenants: 2, adapters: 103, of: [100, 3] });
    const [large, small] = fleet.tenants as [string, string];
    const id = await accept(world.db, fleet.newVersionId);
    // Jobs are planned in the order of the adapters, so those of the small tenant are on a page of their own.
    await plan({ db: world.db, producer: world.queue.producer, pageSize: 100 }, id);
    await world.work(fleet);
    const places = await placesOf(small, 3);
    expect(places[2]).toBeLessThanOrEqual(6);
    const of = await eventually('they are ready, and some of the large tenant', async () => {
      const found = await timesOf(id);
      return found.get(small)?.length === 3 && (found.get(large)?.length ?? 0) >= 5 && found;
    });
    expect(of.get(small)![2]).toBeLessThan(of.get(large)![4]!);
  });

  test('where the concurrency is limited, too, a small tenant waits for three jobs', async () => {
    const fleet = await world.fleetOf({ tenants: 2, adapters: 23, of: [20, 3] });
    await world.work(fleet);
    const id = await world.start(fleet, BRIEF, { policy: { concurrency: 1 } });
    const places = await placesOf(fleet.tenants[1]!, 3);
    expect(places[2]).toBeLessThanOrEqual(6);
    await world.rollouts.cancel(id);
  });

  test('a tenant whose rollout comes later waits for its turn and not for the jobs that wait already', async () => {
    const fleet = await world.fleetOf({ tenants: 2, adapters: 62, of: [60, 2] });
    const [large, small] = fleet.tenants as [string, string];
    await fleet.behave(BRIEF);
    const later = await addVersion(world.db, fleet);
    await world.work(fleet);
    const first = await world.start(fleet, BRIEF, { policy: { selection: { tenants: [large] } } });
    await placesOf(large, 2);
    const second = await rollOut(later, { policy: { selection: { tenants: [small] } } });
    await eventually('the second rollout is planned', async () => (await world.rollouts.get(second, null)).planned_at);
    const before = (await begun()).length;
    const places = await placesOf(small, 2);
    // One job starts while the second rollout is planned, one between its jobs, and eight because the worker stays with
    // its bases.
    expect(places[1]! - before).toBeLessThanOrEqual(4 + 8);
    await world.ended(second, 'completed');
    await world.rollouts.cancel(first);
  });

  test('a tenant of weight 3 has three jobs for each one of another', async () => {
    const fleet = await world.fleetOf({ tenants: 2, adapters: 30 });
    await weigh(fleet.tenants[1]!, 3);
    await world.work(fleet);
    const id = await world.start(fleet, BRIEF);
    const places = await placesOf(fleet.tenants[1]!, 9);
    expect(places[8]).toBeLessThanOrEqual(12);
    expect(places[8]).toBeGreaterThanOrEqual(11);
    await world.rollouts.cancel(id);
  });

  test('all jobs of a rollout of high priority come before those of others, and controls last', async () => {
    const fleets = [];
    for (let i = 0; i < 3; i++) fleets.push(await world.fleetOf({ tenants: 1, adapters: 2 }));
    const low = await world.start(fleets[0]!, {}, { control: 'all', policy: { priority: 'low' } });
    const normal = await world.start(fleets[1]!, {});
    const high = await world.start(fleets[2]!, {}, { policy: { priority: 'high' } });
    for (const id of [low, normal, high]) await world.plan(id);
    await world.work(fleets[0]!);
    for (const id of [low, high, normal]) await world.ended(id, 'completed');
    const jobs = await world.db.job.findMany({ orderBy: { startedAt: 'asc' } });
    expect(jobs.map(({ rolloutId, kind }) => [rolloutId, kind])).toEqual([
      ...Array.from({ length: 2 }, () => [high, 'adaptation']),
      ...Array.from({ length: 2 }, () => [normal, 'adaptation']),
      ...Array.from({ length: 2 }, () => [low, 'adaptation']),
      ...Array.from({ length: 2 }, () => [low, 'control']),
    ]);
  });

  test('what was paused comes back in a fair order, too', async () => {
    const fleet = await world.fleetOf({ tenants: 2, adapters: 12, of: [10, 2] });
    const id = await world.start(fleet, { hang: true });
    await world.work(fleet);
    await world.oneIn(id, 'fine_tuning');
    await world.rollouts.pause(id);
    await fleet.behave(BRIEF);
    await world.rollouts.resume(id);
    // The job that ran starts again.
    const places = await placesOf(fleet.tenants[1]!, 2);
    expect(places[1]).toBeLessThanOrEqual(4);
    await world.rollouts.cancel(id);
  });
});

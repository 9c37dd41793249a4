import { describe, expect, test } from 'vitest';
import type { RolloutPolicy } from '../../../../src/fleet/rollouts/policy.schemas.ts';
import { addVersion, type Fleet } from '../../queue/fleet.ts';
import { eventually } from '../../../eventually.ts';
import { queueKind } from '../../queue/test-queue.ts';
import { useControlledFleets } from '../control/controlled-fleet.ts';

const world = useControlledFleets();

/**
 * Plans a rollout to a version of its own before any worker runs. Its jobs are refused at once, because only their
 * order matters. @returns its identifier
 */
async function planned(fleet: Fleet, policy: RolloutPolicy): Promise<string> {
  await fleet.behave({ outcome: 'refused' });
  const version = await addVersion(world.db, fleet);
  const { id } = await world.rollouts.create({ base_model_version_id: version, options: { policy } });
  await world.plan(id);
  return id;
}

/** Jobs in the order of their start. Each has started once. */
async function inOrder(ids: readonly string[]) {
  for (const id of ids) await world.ended(id, 'completed');
  const jobs = await world.db.job.findMany({ orderBy: { startedAt: 'asc' } });
  expect(new Set(jobs.map(({ state, attempt }) => `${state} ${attempt}`))).toEqual(new Set(['failed 1']));
  // The rollout completes before its last job leaves the queue.
  await eventually('the queue is empty', async () => (await world.queue.producer.count('adaptations')) === 0);
  return jobs;
}

describe(`the choice of a job, queue on ${queueKind}`, () => {
  test('of one tenant, the earliest deadline begins first, and other tenants lose no turn by it', async () => {
    const fleet = await world.fleetOf({ tenants: 2, adapters: 12, of: [9, 3] });
    const [one, other] = fleet.tenants as [string, string];
    const all = await world.db.adapter.findMany({ where: { tenantId: one }, select: { id: true } });
    // Each rollout takes different adapters, so that none supersedes another.
    const three = (from: number) => all.slice(from, from + 3).map(({ id }) => id);
    const ofOther = await planned(fleet, { selection: { tenants: [other] } });
    const open = await planned(fleet, { selection: { adapters: three(0) } });
    const late = await planned(fleet, { deadline: '2999-02-01T00:00:00Z', selection: { adapters: three(3) } });
    const early = await planned(fleet, { deadline: '2999-01-01T00:00:00Z', selection: { adapters: three(6) } });
    await world.work(fleet);
    const jobs = await inOrder([ofOther, open, late, early]);
    const own = jobs.filter(({ tenantId }) => tenantId === one).map(({ rolloutId }) => rolloutId);
    expect(own).toEqual([early, late, open].flatMap((id) => Array.from({ length: 3 }, () => id)));
    // By the start tags, the other tenant's first job follows the first one of all, and its last job the third of the
    // first tenant. A worker that stays with its bases delays each by no more than the rest of a rollout.
    const tenants = jobs.map(({ tenantId }) => tenantId);
    expect(tenants.indexOf(other)).toBeLessThanOrEqual(3);
    expect(tenants.lastIndexOf(other)).toBeLessThan(9);
  });

  test('a worker stays with the bases that it has loaded, and not for ever', async () => {
    const fleet = await world.fleetOf({ tenants: 2, adapters: 32, of: [12, 20] });
    const rollouts: string[] = [];
    for (const tenant of fleet.tenants) rollouts.push(await planned(fleet, { selection: { tenants: [tenant] } }));
    await world.work(fleet);
    const jobs = await inOrder(rollouts);
    const runs: number[] = [];
    jobs.forEach(({ rolloutId }, index) => {
      if (rolloutId === jobs[index - 1]?.rolloutId) runs[runs.length - 1]!++;
      else runs.push(1);
    });
    expect(runs.length).toBeLessThanOrEqual(8);
    expect(runs[0]).toBe(9);
    // Jobs passed over have their turns later: the other tenant's next jobs follow immediately.
    expect(Math.max(...runs)).toBeLessThanOrEqual(18);
  });
});

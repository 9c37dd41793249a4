import { expect } from 'vitest';
import type { Job } from '../../../../src/platform/database/generated/prisma/client.ts';
import { newId } from '../../../../src/platform/contract/ids.ts';
import { insertAdapterVersion } from '../../../../src/fleet/adapters/index.ts';
import { createJobLifecycle } from '../../../../src/fleet/job-control/job-lifecycle.ts';
import { jobRecoverySource } from '../../../../src/fleet/rollouts/order/job-recovery.ts';
import type { JobLease } from '../../../../src/fleet/job-control/job-lifecycle.repository.ts';
import type { RolloutPolicy } from '../../../../src/fleet/rollouts/policy.schemas.ts';
import type { Fleet } from '../../queue/fleet.ts';
import { accept, addBase, claim, plan } from '../succession/two-rollouts.ts';
import type { ControlledFleets } from './controlled-fleet.ts';

const NOT_READY = { state: 'not_ready', error: { code: 'gate_not_reached', message: 'no' } } as const;

/** Rollouts planned without a worker, and imitations of what workers do to their jobs. */
export function plannedFleetsOf(world: ControlledFleets) {
  const planned = (id: string) => plan({ db: world.db, producer: world.queue.producer }, id);

  /** Starts a rollout to v2 and plans it without a worker. */
  async function begun(adapters: number, policy?: RolloutPolicy, tenants = 1) {
    const fleet = await world.fleetOf({ tenants, adapters });
    const second = await accept(world.db, fleet.newVersionId, policy && { policy });
    await planned(second);
    return { fleet, second };
  }

  /** Starts a rollout to v2 and one to v3 that takes its adapters. */
  async function supersede(fleet: Fleet, policy?: RolloutPolicy) {
    const third = await accept(world.db, await addBase(world.db, fleet), policy && { policy });
    await planned(third);
    return third;
  }

  const rowOf = (rolloutId: string, adapterId: string) =>
    world.db.job.findFirstOrThrow({ where: { rolloutId, adapterId, kind: 'adaptation' } });

  /** Ends a job like a worker, which enqueues the jobs that its end admits. */
  async function end(jobId: string, rolloutId: string, lease?: { owner: string }) {
    const { owner } = lease ?? (await claim(world.db, jobId));
    const entries = await createJobLifecycle({ db: world.db }).end({ jobId, owner }, rolloutId, NOT_READY);
    await world.queue.producer.remove('adaptations', [jobId]);
    await world.queue.producer.enqueueAfterCommit(entries);
  }

  /** Publishes a version of a job like its worker. @returns its identifier */
  async function publish(fleet: Fleet, { id: jobId, adapterId, tenantId }: Job, lease: JobLease) {
    const { id: parentVersionId, ...like } = await world.db.adapterVersion.findFirstOrThrow({
      where: { adapterId, number: 1 },
    });
    const { artifactDigest, rank, loraAlpha } = like;
    const row = { id: newId('adapterVersion'), tenantId, adapterId, baseModelVersionId: fleet.newVersionId, jobId };
    const candidate = { strategy: 'relora', fusionAlpha: null, fusionBeta: null, value: 1, certificate: null };
    return createJobLifecycle({ db: world.db }).publish(lease, candidate, async (tx) => {
      await insertAdapterVersion(tx, { ...row, origin: 'adapted', parentVersionId, artifactDigest, rank, loraAlpha });
      return row.id;
    });
  }

  /** Job that each job of a rollout waits for, by adapter. */
  async function waits(rolloutId: string) {
    const jobs = await world.db.job.findMany({ where: { rolloutId }, orderBy: { adapterId: 'asc' } });
    return jobs.map(({ state, admission, approval }) => [state, admission, approval].filter(Boolean).join(' '));
  }

  /** Checks that the sweeper counts as many live jobs as are in the queue and finds none lost. */
  async function expectInQueue(count: number) {
    const jobs = jobRecoverySource(world.db);
    const live = (await jobs.live('', 1000)).length;
    const inQueue = await world.queue.producer.count('adaptations');
    expect({ live, counted: await jobs.countLive(), inQueue }).toEqual({ live: count, counted: count, inQueue: count });
  }

  return { planned, begun, supersede, rowOf, end, publish, waits, expectInQueue };
}

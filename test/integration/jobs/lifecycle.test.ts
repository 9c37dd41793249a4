import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import {
  advancePhase,
  createJobLifecycle,
  JobEndedError,
  LeaseLostError,
  type JobLifecycle,
} from '../../../src/fleet/job-control/job-lifecycle.ts';
import { cancelJobs, JOB_TRANSITIONS } from '../../../src/fleet/jobs/index.ts';
import { plannedJobsRepository } from '../../../src/fleet/rollouts/planning/planned-jobs.repository.ts';
import { jobRecoverySource } from '../../../src/fleet/rollouts/order/job-recovery.ts';
import type { JobLease } from '../../../src/fleet/job-control/job-lifecycle.repository.ts';
import { createRolloutLifecycle, createRollout } from '../../../src/fleet/rollouts/index.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { planEntries } from '../queue/plan-entries.ts';
import { createTestDatabase, type TestDatabase } from '../support/index.ts';

const PROGRESS = {
  step: 3,
  totalSteps: 10,
  metricTarget: 0.8,
  metricOld: 0.9,
  metricNone: null,
  metricCopy: 0.6,
  metricBest: 0.7,
};
const CANDIDATE = { strategy: 'relora', fusionAlpha: 1, fusionBeta: -0.5, value: 0.85, certificate: null };

let database: TestDatabase;
let lifecycle: JobLifecycle;
let hasty: JobLifecycle;

beforeAll(async () => {
  database = await createTestDatabase();
  lifecycle = createJobLifecycle({ db: database.db });
  hasty = createJobLifecycle({ db: database.db, leaseMs: 1 });
});
afterAll(() => database.close());

const leaseOf = (jobId: string): JobLease => ({ jobId, owner: newId('job') });
const jobOf = (id: string) => database.db.job.findUniqueOrThrow({ where: { id } });
const typesOf = async (subjectId: string) =>
  (await database.db.event.findMany({ where: { subjectId, isCopy: false }, orderBy: { seq: 'asc' } })).map(
    (event) => event.type,
  );
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Plans a rollout of a fleet of two adapters. */
async function plannedRollout(): Promise<{ fleet: Fleet; rolloutId: string; jobIds: string[] }> {
  const { db } = database;
  const fleet = await createFleet(db, { tenants: 1, adapters: 2 });
  const { rollout } = await withTransaction(db, (tx) =>
    createRollout(tx, { baseModelVersionId: fleet.newVersionId, options: {} }),
  );
  const rollouts = createRolloutLifecycle({ db });
  const row = await rollouts.beginAnalysis(rollout.id);
  const options = { strategy: 'auto', control: 'none', control_fraction: 0.5, seed: 0 } as const;
  const entries = await planEntries(rollouts, {
    id: rollout.id,
    baseModelVersionId: row!.baseModelVersionId,
    options,
  });
  await fleet.remove();
  return { fleet, rolloutId: rollout.id, jobIds: entries!.map((entry) => entry.id) };
}

describe('a job', () => {
  let rolloutId: string;
  let jobId: string;
  let otherId: string;

  beforeEach(async () => {
    const planned = await plannedRollout();
    rolloutId = planned.rolloutId;
    [jobId, otherId] = planned.jobIds as [string, string];
  });

  test('is claimed by one of many', async () => {
    const claims = await Promise.all(Array.from({ length: 6 }, () => lifecycle.claim(leaseOf(jobId))));
    expect(claims.filter((claim) => claim !== null)).toHaveLength(1);
    const job = await jobOf(jobId);
    expect(job).toMatchObject({ state: 'preparing', phase: 'prepare', attempt: 1 });
    expect(await typesOf(jobId)).toEqual(['job.queued', 'job.preparing']);
  });

  test('only its holder can change it', async () => {
    await lifecycle.claim(leaseOf(jobId));
    const stranger = leaseOf(jobId);
    await expect(lifecycle.heartbeat(stranger, PROGRESS)).rejects.toThrow(LeaseLostError);
    await expect(lifecycle.advancePhase(stranger, 'fine_tune')).rejects.toThrow(LeaseLostError);
    await expect(lifecycle.end(stranger, rolloutId, { state: 'failed' })).rejects.toThrow(LeaseLostError);
    await expect(lifecycle.release(stranger, null)).rejects.toThrow(LeaseLostError);
    await expect(lifecycle.publish(stranger, CANDIDATE, () => Promise.resolve('x'))).rejects.toThrow(LeaseLostError);
    expect(await jobOf(jobId)).toMatchObject({ state: 'preparing', step: 0 });
  });

  test('state follows the phase, and progress is kept', async () => {
    const lease = leaseOf(jobId);
    await lifecycle.claim(lease);
    const seen: string[] = [];
    for (const phase of ['initialize', 'evaluate', 'fine_tune', 'evaluate', 'publish'] as const) {
      await lifecycle.advancePhase(lease, phase);
      seen.push((await jobOf(jobId)).state);
    }
    expect(seen).toEqual(['initializing', 'evaluating', 'fine_tuning', 'evaluating', 'evaluating']);
    await lifecycle.heartbeat(lease, PROGRESS);
    await lifecycle.heartbeat(lease, { ...PROGRESS, step: 4, metricOld: null });
    expect(await jobOf(jobId)).toMatchObject({ step: 4, metricOld: 0.9, metricBest: 0.7, metricTarget: 0.8 });
  });

  test('phases sum to the time to readiness, from acceptance to publication', async () => {
    const lease = leaseOf(jobId);
    await pause(15);
    await lifecycle.claim(lease);
    for (const phase of ['initialize', 'fine_tune', 'evaluate', 'publish'] as const) {
      await pause(5);
      await lifecycle.heartbeat(lease, PROGRESS);
      await lifecycle.advancePhase(lease, phase);
    }
    await pause(5);
    await lifecycle.publish(lease, CANDIDATE, () => Promise.resolve('adv'));
    const job = await jobOf(jobId);
    const phases = [
      job.queueWaitMs,
      job.prepareMs,
      job.evolutionMs,
      job.initializeMs,
      job.fineTuneMs,
      job.evaluateMs,
      job.publishMs,
    ];
    const sum = phases.reduce((a, b) => a + b, 0);
    expect(Math.abs(sum - job.ttrMs!)).toBeLessThan(1e-6);
    const { acceptedAt } = await database.db.rollout.findUniqueOrThrow({ where: { id: rolloutId } });
    // Prisma's dates have a resolution of one millisecond.
    expect(Math.abs(job.ttrMs! - (job.readyAt!.getTime() - acceptedAt.getTime()))).toBeLessThanOrEqual(1);
    for (const [index, ms] of phases.entries()) if (index !== 2) expect(ms).toBeGreaterThan(4);
    expect(job.queueWaitMs).toBeGreaterThan(14);
  });

  test('its clock stands still after readiness, and a better version may follow', async () => {
    const lease = leaseOf(jobId);
    await lifecycle.claim(lease);
    await lifecycle.publish(lease, CANDIDATE, () => Promise.resolve('first'));
    const ready = await jobOf(jobId);
    await pause(5);
    await lifecycle.advancePhase(lease, 'fine_tune');
    await lifecycle.heartbeat(lease, PROGRESS);
    await lifecycle.publish(lease, { ...CANDIDATE, value: 0.9 }, () => Promise.resolve('second'));
    await lifecycle.end(lease, rolloutId, { state: 'ready' });
    const job = await jobOf(jobId);
    expect(job).toMatchObject({
      state: 'ready',
      ttrMs: ready.ttrMs,
      fineTuneMs: 0,
      readyAt: ready.readyAt,
      metricBest: 0.9,
    });
    expect(job.finishedAt!.getTime()).toBeGreaterThan(job.readyAt!.getTime());
    expect((await typesOf(jobId)).filter((type) => type === 'job.ready')).toHaveLength(1);
  });

  test('a version that cannot be written leaves the job as it was', async () => {
    const lease = leaseOf(jobId);
    await lifecycle.claim(lease);
    await expect(lifecycle.publish(lease, CANDIDATE, () => Promise.reject(new Error('disk')))).rejects.toThrow('disk');
    expect(await jobOf(jobId)).toMatchObject({ state: 'preparing', ttrMs: null, readyAt: null });
    expect(await typesOf(jobId)).not.toContain('job.ready');
  });

  test('is taken over when its lease has run out; what passed since the last sign of life was waiting', async () => {
    const first = leaseOf(jobId);
    await hasty.claim(first);
    await hasty.advancePhase(first, 'fine_tune');
    await hasty.heartbeat(first, PROGRESS);
    const before = await jobOf(jobId);
    await pause(30);
    expect((await jobRecoverySource(database.db).expired(10)).map(({ id }) => id)).toContain(jobId);
    const second = leaseOf(jobId);
    expect(await lifecycle.claim(second)).toMatchObject({ attempt: 2, old_state: 'fine_tuning' });
    const lost: unknown = await lifecycle.heartbeat(first, PROGRESS).catch((error: unknown) => error);
    expect(lost).toBeInstanceOf(LeaseLostError);
    expect(lost, 'its work is needed').not.toBeInstanceOf(JobEndedError);
    const job = await jobOf(jobId);
    expect(job.fineTuneMs).toBe(before.fineTuneMs);
    expect(job.queueWaitMs - before.queueWaitMs).toBeGreaterThan(29);
    expect(await lifecycle.claim(leaseOf(jobId))).toBeNull();
  });

  test('released, it waits again', async () => {
    const lease = leaseOf(jobId);
    await lifecycle.claim(lease);
    await lifecycle.release(lease, { code: 'ENOSPC', message: 'no space' });
    expect(await jobOf(jobId)).toMatchObject({
      state: 'queued',
      phase: 'queue_wait',
      leaseOwner: null,
      error: { code: 'ENOSPC' },
    });
    expect(await lifecycle.claim(leaseOf(jobId))).toMatchObject({ attempt: 2 });
    expect((await jobOf(jobId)).error).toBeNull();
  });

  test('not ready: phases are closed and there is no time to readiness', async () => {
    const lease = leaseOf(jobId);
    await lifecycle.claim(lease);
    await lifecycle.advancePhase(lease, 'fine_tune');
    await pause(5);
    await lifecycle.end(lease, rolloutId, { state: 'not_ready', best: { ...CANDIDATE, value: 0.7 } });
    const job = await jobOf(jobId);
    expect(job).toMatchObject({ state: 'not_ready', ttrMs: null, metricBest: 0.7, wonStrategy: 'relora' });
    expect(job.fineTuneMs).toBeGreaterThan(4);
  });

  test('no change leads out of an end', async () => {
    for (const state of ['ready', 'not_ready', 'failed', 'cancelled'] as const) {
      expect(JOB_TRANSITIONS[state]).toEqual([]);
      const { jobIds, rolloutId: rollout } = await plannedRollout();
      const id = jobIds[0]!;
      const lease = leaseOf(id);
      await lifecycle.claim(lease);
      await lifecycle.end(lease, rollout, { state });
      // Imitates a holder that still has its lease.
      await database.db.job.update({ where: { id }, data: { leaseOwner: lease.owner } });
      const before = await jobOf(id);
      for (const phase of ['prepare', 'fine_tune'] as const) {
        await expect(withTransaction(database.db, (tx) => advancePhase(tx, lease, phase))).rejects.toThrow(
          LeaseLostError,
        );
      }
      await expect(lifecycle.publish(lease, CANDIDATE, () => Promise.resolve('x'))).rejects.toThrow(LeaseLostError);
      await expect(lifecycle.end(lease, rollout, { state: 'failed' })).rejects.toThrow(LeaseLostError);
      await expect(lifecycle.release(lease, null)).rejects.toThrow(LeaseLostError);
      expect(await lifecycle.claim(leaseOf(id))).toBeNull();
      expect((await withTransaction(database.db, (tx) => cancelJobs(tx, { jobId: id }))).jobs).toEqual([]);
      expect(await jobOf(id)).toEqual(before);
    }
  });

  test('a queued job cannot be published or advanced', async () => {
    await database.db.job.update({ where: { id: jobId }, data: { leaseOwner: 'me' } });
    const lease = { jobId, owner: 'me' };
    await expect(lifecycle.publish(lease, CANDIDATE, () => Promise.resolve('x'))).rejects.toThrow(LeaseLostError);
    await expect(lifecycle.advancePhase(lease, 'evaluate')).rejects.toThrow(LeaseLostError);
    expect((await jobOf(jobId)).state).toBe('queued');
  });

  test('two last jobs that end at once complete their rollout, once', async () => {
    const leases = [leaseOf(jobId), leaseOf(otherId)];
    for (const lease of leases) await lifecycle.claim(lease);
    await lifecycle.publish(leases[0]!, CANDIDATE, () => Promise.resolve('x'));
    expect((await database.db.rollout.findUniqueOrThrow({ where: { id: rolloutId } })).state).toBe('adapting');
    await Promise.all([
      lifecycle.end(leases[0]!, rolloutId, { state: 'ready' }),
      lifecycle.end(leases[1]!, rolloutId, { state: 'failed', error: { code: 'x', message: 'x' } }),
    ]);
    const rollout = await database.db.rollout.findUniqueOrThrow({ where: { id: rolloutId } });
    expect(rollout.state).toBe('completed');
    expect(await typesOf(rolloutId)).toEqual([
      'rollout.accepted',
      'rollout.analyzing',
      'rollout.adapting',
      'rollout.completed',
    ]);
  });

  test('cancelling takes the lease away', async () => {
    const lease = leaseOf(jobId);
    await lifecycle.claim(lease);
    const { jobs: cancelled } = await withTransaction(database.db, (tx) => cancelJobs(tx, { rolloutId }));
    expect(cancelled.map((job) => job.id).sort()).toEqual([jobId, otherId].sort());
    await expect(lifecycle.heartbeat(lease, PROGRESS)).rejects.toThrow(JobEndedError);
    await expect(lifecycle.advancePhase(lease, 'evaluate')).rejects.toThrow(JobEndedError);
    expect(await typesOf(jobId)).toEqual(['job.queued', 'job.preparing', 'job.cancelled']);
  });

  test('planning twice makes the same jobs once', async () => {
    const { sourceVersionId } = await jobOf(jobId);
    expect(
      await plannedJobsRepository.plan(database.db, { rolloutId, strategy: 'auto' }, [
        { id: newId('job'), sourceVersionId: sourceVersionId!, kind: 'adaptation', error: null },
      ]),
    ).toEqual([]);
  });
});

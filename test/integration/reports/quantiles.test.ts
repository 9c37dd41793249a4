import { afterAll, beforeAll, expect, test } from 'vitest';
import { Random } from '../../../core/statistics/random.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { createReportService } from '../../../src/fleet/reports/report.service.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestApp, type TestApp } from '../support/index.ts';
import { kaplanMeierQuantiles } from './kaplan-meier.ts';

let service: TestApp;
let fleet: Fleet;
beforeAll(async () => {
  service = await createTestApp();
  fleet = await createFleet(service.db, { tenants: 4, adapters: 240 });
});
afterAll(async () => {
  await fleet.remove();
  await service.close();
});

interface Timed {
  readonly tenantId: string;
  readonly isReady: boolean;
  readonly ms: number;
  readonly heldMs: number;
}

/** Times with ties, also between censored and uncensored ones; nobody of the last tenant is ready. */
function timesOf(seed: number, adapters: readonly { tenantId: string }[]): Timed[] {
  const random = Random.fromSeed(seed);
  return adapters.map(({ tenantId }) => {
    const ms = 1000 * (1 + Math.floor(random.uniform() * 40));
    const isReady = tenantId !== fleet.tenants.at(-1) && random.uniform() < 0.8;
    return { tenantId, isReady, ms, heldMs: random.uniform() < 0.5 ? 0 : Math.floor(random.uniform() * ms) };
  });
}

/** Quantiles of some jobs, computed from their individual times. */
function expectedOf(jobs: readonly Timed[], time: (job: Timed) => number) {
  const events = jobs.filter(({ isReady }) => isReady).map(time);
  const censored = jobs.filter(({ isReady }) => !isReady).map(time);
  const [p50, p90] = kaplanMeierQuantiles({ events, censored }, [0.5, 0.9]);
  return { p50_ms: p50, p90_ms: p90, max_ms: events.length === 0 ? null : Math.max(...events) };
}

test.each([1, 2, 3])(
  'PostgreSQL computes the quantiles that follow from the times one by one (seed %i)',
  async (seed) => {
    const { db } = service;
    await db.rollout.deleteMany();
    const rolloutId = newId('rollout');
    await db.rollout.create({
      data: { id: rolloutId, baseModelVersionId: fleet.newVersionId, options: {}, state: 'completed' },
    });
    const adapters = await db.adapter.findMany({ orderBy: { id: 'asc' } });
    const jobs = timesOf(seed, adapters);
    const now = new Date();
    await db.job.createMany({
      data: jobs.map(({ tenantId, isReady, ms, heldMs }, i) => ({
        ...{ id: newId('job'), rolloutId, tenantId, adapterId: adapters[i]!.id, strategy: 'auto', metricName: 'loss' },
        ...{ state: isReady ? ('ready' as const) : ('failed' as const), finishedAt: now, phaseSince: now },
        ...{ ttrMs: isReady ? ms : null, heldMs, fineTuneMs: ms - heldMs },
      })),
    });
    const rollouts = { get: () => Promise.reject(new Error('not needed')) };
    const { total, groups } = await createReportService({ db, rollouts }).ttr({ group_by: 'tenant' }, null);
    const whole = (job: Timed) => job.ms;
    const unheld = (job: Timed) => job.ms - job.heldMs;
    expect(total).toMatchObject({
      jobs: 240,
      ttr: expectedOf(jobs, whole),
      ttr_without_held: expectedOf(jobs, unheld),
    });
    expect(groups).toHaveLength(4);
    for (const { id, ttr, ttr_without_held: ttrUnheld, ready } of groups) {
      const own = jobs.filter(({ tenantId }) => tenantId === id);
      expect(ready).toBe(own.filter(({ isReady }) => isReady).length);
      expect(ttr).toEqual(expectedOf(own, whole));
      expect(ttrUnheld).toEqual(expectedOf(own, unheld));
    }
  },
);

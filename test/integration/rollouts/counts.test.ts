import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { withTransaction, type Database, type Transaction } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { createJobLifecycle, JobEndedError, LeaseLostError } from '../../../src/fleet/job-control/job-lifecycle.ts';
import { createRollout, createRolloutLifecycle, createRolloutService } from '../../../src/fleet/rollouts/index.ts';
import { jobServices } from '../support/job-services.ts';
import { useQueueWithFleets } from '../queue/queue-with-fleets.ts';
import type { TestQueue } from '../queue/test-queue.ts';

const world = useQueueWithFleets();
let queue: TestQueue;
let db: Database;
beforeAll(() => {
  ({ queue } = world);
  ({ db } = queue.database);
});

/** Conditions that judge a wave by everything possible and never trip. */
const NEVER = { unready_share: 1, metric_drop: 1, negative_flips: 1 };

/** Plans a rollout of a new fleet without analysis. */
async function plan(size: { tenants: number; adapters: number }, refused = false) {
  const fleet = await world.fleetOf(size);
  const { rollout } = await withTransaction(db, (tx) =>
    createRollout(tx, {
      baseModelVersionId: fleet.newVersionId,
      options: { control: 'all', policy: { pause_if: NEVER } },
    }),
  );
  const lifecycle = createRolloutLifecycle({ db });
  const row = (await lifecycle.beginAnalysis(rollout.id))!;
  const request = { ...row, options: row.options as Parameters<typeof lifecycle.plan>[0]['options'] };
  const refusals = refused ? new Map([[fleet.oldVersionId, { code: 'incompatible', message: 'no' }]]) : new Map();
  await lifecycle.plan(request, refusals);
  const jobs = await db.job.findMany({ where: { rolloutId: rollout.id }, orderBy: { id: 'asc' } });
  return { fleet, id: rollout.id, jobs };
}

const COUNTS = `kind::text, state::text, count(*)::int AS jobs,
  count(*) FILTER (WHERE finished_at IS NULL)::int AS unfinished,
  count(*) FILTER (WHERE baselines_pending)::int AS baselines_pending`;
const KEPT = 'kind::text, state::text, jobs, unfinished, baselines_pending';

/** Figures by which a wave is judged, from its jobs and their versions. */
const WAVE = `wave, count(*)::int AS ended, (count(*) FILTER (WHERE state IN ('not_ready', 'failed')))::int AS unready,
  count(metric_drop)::int AS metric_drops, COALESCE(sum(metric_drop), 0)::float8 AS metric_drop_sum,
  count(flips)::int AS negative_flips, COALESCE(sum(flips), 0)::float8 AS negative_flips_sum
  FROM (SELECT j.rollout_id, j.wave, j.state,
    CASE WHEN j.state = 'ready' THEN metric_old::text::decimal - metric_best::text::decimal END AS metric_drop,
    CASE WHEN j.state = 'ready' THEN (SELECT (v.metrics ->> 'negative_flips')::decimal FROM adapter_versions v
      WHERE v.job_id = j.id ORDER BY v.number DESC LIMIT 1) END AS flips
    FROM jobs j WHERE j.kind = 'adaptation' AND j.finished_at IS NOT NULL AND j.state <> 'cancelled') AS ended`;
const KEPT_WAVE = `wave, ended, unready, metric_drops, metric_drop_sum::float8, negative_flips,
  negative_flips_sum::float8
  FROM wave_figures`;

/** Compares the stored counts with a count of the jobs, for the rollout, each tenant and each wave. */
async function expectCounted(rolloutId: string): Promise<void> {
  const rows = (sql: string) => db.$queryRawUnsafe<object[]>(sql, rolloutId);
  const nonzero = 'rollout_id = $1 AND (jobs, unfinished, baselines_pending) <> (0, 0, 0)';
  expect(await rows(`SELECT ${KEPT} FROM rollout_counts WHERE ${nonzero} ORDER BY 1, 2`)).toEqual(
    await rows(`SELECT ${COUNTS} FROM jobs WHERE rollout_id = $1 GROUP BY 1, 2 ORDER BY 1, 2`),
  );
  expect(await rows(`SELECT tenant_id, ${KEPT} FROM rollout_tenant_counts WHERE ${nonzero} ORDER BY 1, 2, 3`)).toEqual(
    await rows(`SELECT tenant_id, ${COUNTS} FROM jobs WHERE rollout_id = $1 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`),
  );
  expect(await rows(`SELECT ${KEPT_WAVE} WHERE rollout_id = $1 AND ended > 0`)).toEqual(
    await rows(`SELECT ${WAVE} WHERE rollout_id = $1 GROUP BY wave`),
  );
}

const candidate = { strategy: 'reuse', fusionAlpha: null, fusionBeta: null, value: 0.9, certificate: null };
const noProgress = {
  step: 1,
  totalSteps: 2,
  metricTarget: null,
  metricOld: null,
  metricNone: null,
  metricCopy: null,
  metricBest: null,
};

/** Inserts the version that a job publishes. @returns its identifier */
async function insertVersion(tx: Transaction, jobId: string, flips: number): Promise<string> {
  const { tenantId, adapterId, sourceVersion, rollout } = await tx.job.findUniqueOrThrow({
    where: { id: jobId },
    include: { sourceVersion: true, rollout: true },
  });
  const version = {
    ...{ tenantId, adapterId, jobId, baseModelVersionId: rollout.baseModelVersionId },
    ...{ id: newId('adapterVersion'), number: 2 + (await tx.adapterVersion.count({ where: { jobId } })) },
    ...{ origin: 'adapted', artifactDigest: sourceVersion!.artifactDigest, rank: 4, loraAlpha: 8 },
    metrics: { negative_flips: flips },
  };
  await tx.adapterVersion.create({ data: version });
  return version.id;
}

/** Performs a worker's operation on a job, chosen by `random`. */
async function work(jobId: string, rolloutId: string, random: () => number): Promise<void> {
  const lifecycle = createJobLifecycle({ db });
  const lease = { jobId, owner: randomUUID() };
  if ((await lifecycle.claim(lease)) === null) return;
  await lifecycle.advancePhase(lease, 'initialize');
  await lifecycle.heartbeat(lease, { ...noProgress, metricOld: random() });
  if (random() < 0.3) return lifecycle.release(lease, { code: 'again', message: 'again' }, { excused: random() < 0.5 });
  await lifecycle.advancePhase(lease, 'fine_tune');
  if (random() < 0.5) await lifecycle.advancePhase(lease, 'evaluate');
  const choice = random();
  if (choice < 0.25) {
    const flips = random();
    const isAdaptation = (await db.job.findUniqueOrThrow({ where: { id: jobId } })).kind === 'adaptation';
    await lifecycle.publish(lease, { ...candidate, value: random() }, (tx) =>
      isAdaptation ? insertVersion(tx, jobId, flips) : Promise.resolve('none'),
    );
    if (random() < 0.3) return lifecycle.release(lease, null, { excused: true });
  }
  const state = choice < 0.25 ? 'ready' : choice < 0.5 ? 'not_ready' : choice < 0.75 ? 'failed' : 'ready';
  await lifecycle.end(lease, rolloutId, { state, baselinesPending: random() < 0.4 });
  if (random() < 0.5) {
    const known = { metricOld: 0.1, metricNone: 0.1, metricCopy: 0.1 };
    await lifecycle.endBaselines({ id: jobId, rolloutId }, known, () => Promise.resolve());
  }
}

function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('the counts of a rollout equal a count of its jobs', () => {
  test('after it is planned, and if all adapters are refused', async () => {
    const { id } = await plan({ tenants: 3, adapters: 5 });
    await expectCounted(id);
    expect(
      await db.rolloutCount.findMany({ where: { rolloutId: id, jobs: { gt: 0 } }, orderBy: { kind: 'asc' } }),
    ).toMatchObject([
      { kind: 'adaptation', state: 'queued', jobs: 5, unfinished: 5 },
      { kind: 'control', state: 'queued', jobs: 5, unfinished: 5 },
    ]);
    const refused = await plan({ tenants: 1, adapters: 2 }, true);
    await expectCounted(refused.id);
  });

  test.each([1, 2, 3])('while eight workers, two cancellers and a retrier are at it (seed %i)', async (seed) => {
    const { id, jobs } = await plan({ tenants: 4, adapters: 15 });
    const random = randomOf(seed);
    const service = jobServices({ db, producer: queue.producer });
    const worker = async () => {
      for (let turn = 0; turn < 13; turn++) {
        const job = jobs[Math.floor(random() * jobs.length)]!;
        await work(job.id, id, random).catch((error: unknown) => {
          if (!(error instanceof LeaseLostError || error instanceof JobEndedError)) throw error;
        });
      }
    };
    const canceller = async () => {
      for (let turn = 0; turn < 5; turn++) {
        const job = jobs[Math.floor(random() * jobs.length)]!;
        await service.cancel(job.id, null).catch((error: Error & { code?: string }) => {
          if (error.code !== 'job_ended') throw error;
        });
      }
    };
    const retrier = async () => {
      for (let turn = 0; turn < 10; turn++) {
        const job = jobs[Math.floor(random() * jobs.length)]!;
        await service.retry(job.id, null).catch((error: Error & { status?: number }) => {
          if (error.status !== 409) throw error;
        });
      }
    };
    await Promise.all([...Array.from({ length: 8 }, worker), canceller(), canceller(), retrier()]);
    await expectCounted(id);
    const shown = await createRolloutService({ db, producer: queue.producer }).get(id, null);
    const states = await db.job.groupBy({
      by: ['state'],
      where: { rolloutId: id, kind: 'adaptation' },
      _count: true,
    });
    expect(shown.jobs).toEqual(Object.fromEntries(states.map(({ state, _count }) => [state, _count])));
    await createRolloutService({ db, producer: queue.producer }).cancel(id);
    await expectCounted(id);
    expect(await db.job.count({ where: { rolloutId: id, finishedAt: null } })).toBe(0);
  });

  test('after jobs, a tenant and a rollout are deleted', async () => {
    const { id, jobs, fleet } = await plan({ tenants: 2, adapters: 4 });
    await db.job.delete({ where: { id: jobs[0]!.id } });
    await expectCounted(id);
    const [tenantId] = fleet.tenants as [string];
    await db.job.deleteMany({ where: { tenantId } });
    await db.adapterVersion.deleteMany({ where: { tenantId } });
    await db.adapter.deleteMany({ where: { tenantId } });
    await db.tenant.delete({ where: { id: tenantId } });
    await expectCounted(id);
    expect(await db.rolloutTenantCount.count({ where: { tenantId } })).toBe(0);
    await db.rollout.delete({ where: { id } });
    expect(await db.rolloutCount.count({ where: { rolloutId: id } })).toBe(0);
    expect(await db.rolloutTenantCount.count({ where: { rolloutId: id } })).toBe(0);
  });

  test('if a transaction rolls back', async () => {
    const { id, jobs } = await plan({ tenants: 1, adapters: 2 });
    const change = withTransaction(db, async (tx) => {
      await tx.job.update({ where: { id: jobs[0]!.id }, data: { state: 'failed', finishedAt: new Date() } });
      throw new Error('no');
    });
    await expect(change).rejects.toThrow('no');
    await expectCounted(id);
  });
});

test('a tenant is shown its own jobs, and one without any none', async () => {
  const { id, fleet } = await plan({ tenants: 2, adapters: 5 });
  const rollouts = createRolloutService({ db, producer: queue.producer });
  const shown = await Promise.all(fleet.tenants.map((tenant) => rollouts.get(id, tenant)));
  expect(shown.map(({ jobs }) => jobs)).toEqual([{ queued: 3 }, { queued: 2 }]);
  const stranger = newId('tenant');
  expect(await rollouts.get(id, stranger)).toMatchObject({ jobs: {}, summary: { adapters: 0, makespan_ms: null } });
});

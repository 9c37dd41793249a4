import type { Database } from '../../../../src/platform/database/database.ts';
import { newId } from '../../../../src/platform/contract/ids.ts';
import { createAnalyzed, createFleet } from '../fleet.ts';

/** Rollout to poll, whose jobs are in mixed states. */
export interface PolledFleet {
  rolloutId: string;
  jobs: { id: string; tenantId: string }[];
  /** Jobs that wait for a worker. */
  queued: string[];
}

/** SQL for the state of the n-th job: of each hundred, 60 are ready, six have ended otherwise, and 34 are queued. */
const STATE = `(CASE WHEN n % 100 < 60 THEN 'ready' WHEN n % 100 < 63 THEN 'not_ready' WHEN n % 100 < 65 THEN 'failed'
  WHEN n % 100 < 66 THEN 'cancelled' ELSE 'queued' END)::job_state`;

/** Inserts adapters, plans their rollout, and ends two thirds of its jobs. */
export async function createPolledFleet(db: Database, size: number): Promise<PolledFleet> {
  const { newVersionId } = await createFleet(db, size);
  const { lifecycle, request } = await createAnalyzed(db, newVersionId);
  const planned = await lifecycle.plan(request, new Map());
  if (planned !== size) throw new Error(`planned ${planned ?? 0} jobs, expected ${size}`);
  const rolloutId = request.id;
  await endJobs(db, rolloutId, newVersionId);
  const jobs = await db.job.findMany({ where: { rolloutId }, select: { id: true, tenantId: true, state: true } });
  return { rolloutId, jobs, queued: jobs.filter(({ state }) => state === 'queued').map(({ id }) => id) };
}

async function endJobs(db: Database, rolloutId: string, versionId: string): Promise<void> {
  await db.$executeRawUnsafe(`
    UPDATE jobs SET state = ${STATE}, won_strategy = 'revert', fusion_alpha = 1, fusion_beta = -1, attempt = 1,
      metric_old = 0.8, metric_none = 0.4, metric_copy = 0.6, metric_best = 0.81, started_at = now(),
      finished_at = CASE WHEN ${STATE} <> 'queued' THEN now() END,
      ready_at = CASE WHEN ${STATE} = 'ready' THEN now() END, ttr_ms = CASE WHEN ${STATE} = 'ready' THEN 10000 + n END,
      error = CASE WHEN ${STATE} = 'failed' THEN '{"code": "bench", "message": "ended by the bench"}'::jsonb END
    FROM (
      SELECT id AS job_id, row_number() OVER (ORDER BY id) AS n FROM jobs WHERE rollout_id = '${rolloutId}'
    ) AS numbered
    WHERE id = job_id AND ${STATE} <> 'queued'`);
  const ready = await db.job.findMany({
    where: { rolloutId, state: 'ready' },
    select: { id: true, tenantId: true, adapterId: true, sourceVersionId: true },
  });
  await db.adapterVersion.createMany({
    data: ready.map(({ id, tenantId, adapterId, sourceVersionId }) => ({
      id: newId('adapterVersion'),
      tenantId,
      adapterId,
      baseModelVersionId: versionId,
      parentVersionId: sourceVersionId,
      number: 2,
      origin: 'adapted',
      artifactDigest: 'none',
      rank: 8,
      loraAlpha: 16,
      jobId: id,
    })),
  });
  await db.$executeRawUnsafe('VACUUM ANALYZE');
}

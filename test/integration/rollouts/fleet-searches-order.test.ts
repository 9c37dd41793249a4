import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../../../src/lib/database.ts';
import { newId } from '../../../src/lib/ids.ts';
import { adaptationRepository } from '../../../workers/adaptations/adaptation.repository.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestDatabase, type TestDatabase } from '../support/index.ts';

const JOBS = 120;

let database: TestDatabase;
let db: Database;
let fleet: Fleet;
let jobs: string[];

beforeAll(async () => {
  database = await createTestDatabase();
  db = database.db;
  fleet = await createFleet(db, { tenants: 3, adapters: JOBS });
  const rolloutId = newId('rollout');
  await db.rollout.create({
    data: { id: rolloutId, baseModelVersionId: fleet.newVersionId, state: 'completed', options: {} },
  });
  const sources = await db.adapterVersion.findMany({ orderBy: { id: 'asc' } });
  // Some adapters come from another version.
  await db.adapterVersion.updateMany({
    where: { id: { in: sources.filter((_, n) => n % 5 === 4).map(({ id }) => id) } },
    data: { baseModelVersionId: fleet.newVersionId },
  });
  const began = Date.now() - 10_000_000;
  const rows = sources.map((source, n) => ({
    id: newId('job'),
    tenantId: source.tenantId,
    rolloutId,
    adapterId: source.adapterId,
    sourceVersionId: source.id,
    kind: n % 7 === 6 ? ('control' as const) : ('adaptation' as const),
    state: 'evaluating' as const,
    strategy: 'auto',
    metricName: 'accuracy',
    startedAt: new Date(began + n * 1000),
  }));
  jobs = rows.map(({ id }) => id);
  await db.job.createMany({ data: rows });
  // Up to twelve evaluations a job, of which some cannot be used; many jobs have equally many.
  const evaluations = rows.flatMap(({ id, tenantId }, n) =>
    Array.from({ length: (n * 5) % 13 }, (_, index) => ({
      jobId: id,
      tenantId,
      index,
      fusionAlpha: index,
      fusionBeta: -n,
      rows: (n + index) % 6 === 0 ? 0 : 16,
      metric: (n + index) % 11 === 0 ? 'accuracy' : 'loss',
      loss: n,
      durationMs: 1,
    })),
  );
  await db.searchEvaluation.createMany({ data: evaluations });
  // Each job ends after two others have started, and two end at the same time. Every ninth one goes on.
  for (const [n, { id, startedAt }] of rows.entries()) {
    if (n % 9 === 8) continue;
    const finishedAt = new Date(startedAt.getTime() + 2500 - (n % 2) * 1000);
    await db.job.update({ where: { id }, data: { finishedAt, state: n % 4 === 3 ? 'cancelled' : 'ready' } });
  }
});
afterAll(async () => {
  await fleet.remove();
  await database.close();
});

/** The searches that a job is given, found by reading all jobs that have ended. */
async function amongAll(jobId: string): Promise<unknown[]> {
  const found = await db.$queryRaw<{ records: unknown }[]>`
    SELECT json_agg(json_build_object('alpha', e.fusion_alpha, 'beta', e.fusion_beta, 'rows', e.rows, 'loss', e.loss) ORDER BY e.index) AS records
    FROM jobs own
    JOIN adapter_versions own_source ON own_source.id = own.source_version_id
    JOIN jobs j ON j.rollout_id = own.rollout_id AND j.kind = 'adaptation' AND j.finished_at <= own.started_at
    JOIN adapter_versions v ON v.id = j.source_version_id AND v.base_model_version_id = own_source.base_model_version_id
    JOIN search_evaluations e ON e.job_id = j.id AND e.rows > 0 AND e.metric = 'loss'
    WHERE own.id = ${jobId}
    GROUP BY j.id ORDER BY count(*) DESC, j.finished_at, j.id LIMIT 24`;
  return found.map(({ records }) => records);
}

test('every job is given the searches that a look at all jobs finds, in the same order', async () => {
  const lengths: number[] = [];
  for (const id of jobs) {
    const given = await adaptationRepository.fleetSearches(db, (await adaptationRepository.load(db, id))!);
    expect(given).toEqual(await amongAll(id));
    lengths.push(given.length);
  }
  expect(lengths[0]).toBe(0);
  expect(lengths.filter((length) => length === 24).length).toBeGreaterThan(20);
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Prisma } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import type { TtrDistribution } from '../../../src/fleet/reports/distribution/distribution.schemas.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestApp, createTestKey, type TestApp } from '../support/index.ts';

const SMALL = 4;
const LARGE = 251;

let service: TestApp;
let fleet: Fleet;
let rolloutId: string;
let keys: string[];

beforeAll(async () => {
  service = await createTestApp();
  const { db } = service;
  fleet = await createFleet(db, { tenants: 2, adapters: SMALL + LARGE, of: [SMALL, LARGE] });
  keys = await Promise.all(fleet.tenants.map((tenantId) => createTestKey(db, { tenantId })));
  const rollout = { id: newId('rollout'), baseModelVersionId: fleet.newVersionId, options: {} };
  rolloutId = (await db.rollout.create({ data: { ...rollout, state: 'adapting' } })).id;
  const adapters = await db.adapter.findMany({ orderBy: { id: 'asc' }, include: { versions: true } });
  const counts = new Map<string, number>();
  const jobs = adapters.flatMap(({ id: adapterId, tenantId, versions }): Prisma.JobCreateManyInput[] => {
    const place = counts.get(tenantId) ?? 0;
    counts.set(tenantId, place + 1);
    const isSmall = tenantId === fleet.tenants[0];
    const what = {
      tenantId,
      adapterId,
      rolloutId,
      sourceVersionId: versions[0]!.id,
      strategy: 'auto',
      metricName: 'loss',
    };
    // The last job of the small tenant is not ready.
    if (isSmall && place === SMALL - 1) return [{ id: newId('job'), ...what, state: 'queued' }];
    const ready = {
      ...what,
      state: 'ready' as const,
      finishedAt: new Date(),
      readyAt: new Date(),
      queueWaitMs: 300,
      heldMs: 200,
    };
    const ttrMs = 1000 + place * 10;
    const own = { id: newId('job'), ...ready, ttrMs };
    const control = { id: newId('job'), ...ready, kind: 'control' as const, ttrMs: 5 * (ttrMs - 500) + 500 };
    return isSmall ? [own, control] : [own];
  });
  await db.job.createMany({ data: jobs });
});
afterAll(async () => {
  await fleet.remove();
  await service.close();
});

const url = () => `/v1/rollouts/${rolloutId}/ttr-distribution`;
async function get(key?: string): Promise<TtrDistribution> {
  const answer = await service.request({ url: url(), ...(key !== undefined && { key }) });
  expect(answer.statusCode, answer.body).toBe(200);
  return answer.json<TtrDistribution>();
}

test('a few times are all there, those of controls beside them, and only those of the tenant', async () => {
  const { adaptations, controls, speedup } = await get(keys[0]);
  expect(adaptations).toEqual({
    ...{ jobs: 4, ready: 3, ttr_ms: [1000, 1010, 1020] },
    working_ms: [500, 510, 520],
  });
  expect(controls).toEqual({ jobs: 3, ready: 3, ttr_ms: [3000, 3050, 3100], working_ms: [2500, 2550, 2600] });
  expect(speedup).toMatchObject({ pairs: 3, median: 5 });
});

test('many times are thinned out evenly, with the smallest and the largest', async () => {
  const { adaptations, controls } = await get(keys[1]);
  expect(adaptations).toMatchObject({ jobs: LARGE, ready: LARGE });
  const { ttr_ms: times } = adaptations;
  expect(times).toHaveLength(101);
  expect([times[0], times[50], times[100]]).toEqual([1000, 1000 + 125 * 10, 1000 + 250 * 10]);
  const steps = times.slice(1).map((time, i) => time - times[i]!);
  expect([Math.min(...steps), Math.max(...steps)]).toEqual([20, 30]);
  expect(controls).toEqual({ jobs: 0, ready: 0, ttr_ms: [], working_ms: [] });
});

test('the operator sees all, and an unchanged answer is a 304', async () => {
  const { adaptations } = await get();
  expect(adaptations).toMatchObject({ jobs: SMALL + LARGE, ready: SMALL - 1 + LARGE });
  const { headers } = await service.request({ url: url() });
  const again = await service.request({ url: url(), headers: { 'if-none-match': headers.etag as string } });
  expect(again.statusCode).toBe(304);
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '../../../src/platform/contract/ids.ts';
import type { SearchPoint, SearchSurrogate } from '../../../src/fleet/jobs/ladder/ladder.schemas.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestApp, createTestKey, type TestApp } from '../support/index.ts';

let service: TestApp;
let fleet: Fleet;
let jobId: string;
let key: string;

beforeAll(async () => {
  service = await createTestApp();
  fleet = await createFleet(service.db, { tenants: 2, adapters: 2 });
  const rollout = { id: newId('rollout'), baseModelVersionId: fleet.newVersionId, options: {} };
  const { id: rolloutId } = await service.db.rollout.create({ data: rollout });
  const [tenantId, adapterId] = [fleet.tenants[0]!, fleet.adapters[0]!];
  const { tenantId: owner } = await service.db.adapter.findUniqueOrThrow({ where: { id: adapterId } });
  const what = { tenantId: owner, adapterId, rolloutId, strategy: 'auto', metricName: 'loss' };
  ({ id: jobId } = await service.db.job.create({ data: { id: newId('job'), ...what, state: 'initializing' } }));
  key = await createTestKey(service.db, { tenantId: owner });
  expect(owner).toBe(tenantId);
});
afterAll(async () => {
  await fleet.remove();
  await service.close();
});

async function measure(points: readonly (readonly [number, number, number])[], from = 0): Promise<void> {
  const { tenantId } = await service.db.job.findUniqueOrThrow({ where: { id: jobId } });
  await service.db.searchEvaluation.createMany({
    data: points.map(([fusionAlpha, fusionBeta, loss], i) => {
      return {
        jobId,
        tenantId,
        index: from + i,
        fusionAlpha,
        fusionBeta,
        loss,
        rows: 64,
        metric: 'loss',
        durationMs: 1,
      };
    }),
  });
  // The worker writes the points with its heartbeat.
  await service.db.job.update({ where: { id: jobId }, data: { updatedAt: new Date() } });
}
const get = (as = key) => service.request({ url: `/v1/jobs/${jobId}/search-surrogate`, key: as });

test('it is empty until three points are measured, and then a grid that knows them', async () => {
  await measure([[1, 0, 2]]);
  expect((await get()).json()).toEqual({ points: 1, alpha: [], beta: [], mean: [], standard_deviation: [] });
  await measure(
    [
      [1, -1, 1],
      [0, 0, 4],
    ],
    1,
  );
  const { points, alpha, beta, mean, standard_deviation: deviations } = (await get()).json<SearchSurrogate>();
  expect(points).toBe(3);
  expect([mean.length, deviations.length]).toEqual([alpha.length * beta.length, alpha.length * beta.length]);
  const lowest = mean.indexOf(Math.min(...mean));
  expect(alpha[Math.floor(lowest / beta.length)]).toBeGreaterThan(0.5);
  expect(beta[lowest % beta.length]).toBeLessThan(-0.5);
  expect(Math.min(...mean)).toBeLessThan(0);
});

test('the points are listed page by page, and a cursor that is no place among them is refused', async () => {
  const list = (query: string) => service.request({ url: `/v1/jobs/${jobId}/search-points?${query}`, key });
  const first = (await list('limit=2')).json<{ data: SearchPoint[]; next_cursor: string }>();
  const rest = (await list(`limit=2&cursor=${first.next_cursor}`)).json<{ data: SearchPoint[]; next_cursor: null }>();
  expect([...first.data, ...rest.data].map(({ index, loss }) => [index, loss])).toEqual([
    [0, 2],
    [1, 1],
    [2, 4],
  ]);
  expect(rest.next_cursor).toBeNull();
  for (const place of ['99999999999', '1e300', '-1', 'one', '0x1']) {
    const answer = await list(`cursor=${Buffer.from(place).toString('base64url')}`);
    expect([answer.statusCode, answer.json<{ code: string }>().code], place).toEqual([400, 'invalid_cursor']);
  }
});

test('an unchanged job is a 304, and another tenant finds none', async () => {
  const { headers } = await get();
  const url = `/v1/jobs/${jobId}/search-surrogate`;
  const again = await service.request({ url, key, headers: { 'if-none-match': headers.etag as string } });
  expect(again.statusCode).toBe(304);
  const other = await createTestKey(service.db, { tenantId: fleet.tenants[1]! });
  expect((await get(other)).statusCode).toBe(404);
});

test('the time on the phase that runs is known from its beginning, until the clock stops', async () => {
  const job = async () =>
    (await service.request({ url: `/v1/jobs/${jobId}`, key })).json<{ phase_since: string | null }>();
  const { phaseSince } = await service.db.job.findUniqueOrThrow({ where: { id: jobId } });
  expect((await job()).phase_since).toBe(phaseSince.toISOString());
  await service.db.job.update({ where: { id: jobId }, data: { state: 'failed', finishedAt: new Date() } });
  expect((await job()).phase_since).toBeNull();
});

import { Value } from 'typebox/value';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Prisma } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { RolloutReport, TtrReport } from '../../../src/fleet/reports/report.schemas.ts';
import { createReportService } from '../../../src/fleet/reports/report.service.ts';
import type { Rollout } from '../../../src/fleet/rollouts/index.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestApp, createTestKey, type TestApp } from '../support/index.ts';

/** Remission times (`aml` of R's survival package), with seconds for weeks. The medians are 31 and 23. */
const READY = [
  [9, 13, 18, 23, 31, 34, 48],
  [5, 5, 8, 8, 12, 23, 27, 30, 33, 43, 45],
] as const;
const CENSORED = [
  [
    { seconds: 13, state: 'not_ready' },
    { seconds: 28, state: 'failed' },
    { seconds: 45, state: 'cancelled' },
    { seconds: 161, state: 'fine_tuning' },
  ],
  [{ seconds: 16, state: 'paused' }],
] as const;
/** Ratios of control time to adaptation time of the first six. */
const RATIOS = [2, 4, 8, 4, 4, 4];
const ACCEPTED = new Date('2026-11-01T00:00:00Z');

let service: TestApp;
let fleet: Fleet;
let rolloutId: string;
let keys: string[];

/** Phase times of a job: a fifth of its time held, a tenth waiting in the queue. */
function timesOf(seconds: number) {
  const ms = seconds * 1000;
  return { heldMs: ms / 5, queueWaitMs: ms / 10, fineTuneMs: ms / 2, evaluateMs: ms / 5 };
}

async function addJobs(): Promise<void> {
  const { db } = service;
  const owners = await db.adapter.findMany({ orderBy: { id: 'asc' }, include: { versions: true } });
  const jobs: Prisma.JobCreateManyInput[] = [];
  const take = (tenant: number) => {
    const place = owners.findIndex(({ tenantId }) => tenantId === fleet.tenants[tenant]);
    const [adapter] = owners.splice(place, 1);
    return { tenantId: adapter!.tenantId, adapterId: adapter!.id, sourceVersionId: adapter!.versions[0]!.id };
  };
  const common = { rolloutId, strategy: 'auto', metricName: 'loss', createdAt: ACCEPTED };
  const now = new Date();
  for (const tenant of [0, 1]) {
    for (const [i, seconds] of READY[tenant]!.entries()) {
      const ended = { state: 'ready' as const, ttrMs: seconds * 1000, readyAt: now, finishedAt: now };
      const wonStrategy = seconds < 20 ? 'reuse' : 'relora';
      const owner = { ...common, ...take(tenant) };
      jobs.push({ id: newId('job'), ...owner, ...ended, wonStrategy, ...timesOf(seconds) });
      const ratio = tenant === 0 ? RATIOS[i] : undefined;
      if (ratio === undefined) continue;
      const worked = 0.7 * seconds * 1000 * ratio;
      const control = { kind: 'control' as const, heldMs: 7000, queueWaitMs: 90_000, fineTuneMs: worked };
      jobs.push({ id: newId('job'), ...owner, ...ended, ttrMs: worked + 97_000, ...control, wonStrategy: 'scratch' });
    }
    for (const { seconds, state } of CENSORED[tenant]!) {
      const goesOn = state === 'fine_tuning' || state === 'paused';
      // The clock of an ended job has stopped, however long ago. The clocks of the others start in the future, or the
      // figures would depend on how long the tests take.
      const phaseSince = goesOn ? new Date(now.getTime() + 3_600_000) : ACCEPTED;
      const phase = state === 'paused' ? ('held' as const) : ('fine_tune' as const);
      const ended = { state, phase, phaseSince, finishedAt: goesOn ? null : ACCEPTED };
      jobs.push({ id: newId('job'), ...common, ...take(tenant), ...ended, ...timesOf(seconds) });
    }
  }
  await db.job.createMany({ data: jobs });
  const endedAt = new Date(ACCEPTED.getTime() + 10_000);
  await db.deviceUse.createMany({
    data: jobs.map(({ id, tenantId }) => ({ jobId: id, tenantId, startedAt: ACCEPTED, endedAt })),
  });
}

beforeAll(async () => {
  service = await createTestApp();
  const { db } = service;
  fleet = await createFleet(db, { tenants: 2, adapters: 26 });
  keys = await Promise.all(fleet.tenants.map((tenantId) => createTestKey(db, { tenantId })));
  const rollout = { id: newId('rollout'), baseModelVersionId: fleet.newVersionId, options: {} };
  rolloutId = rollout.id;
  await db.rollout.create({ data: { ...rollout, state: 'adapting', acceptedAt: ACCEPTED } });
  await addJobs();
});
afterAll(async () => {
  await fleet.remove();
  await service.close();
});

async function get<T>(url: string, key?: string): Promise<T> {
  const answer = await service.request({ url, ...(key !== undefined && { key }) });
  expect(answer.statusCode, answer.body).toBe(200);
  return answer.json<T>();
}

describe('the report of a rollout', () => {
  const report = (key?: string) => get<RolloutReport>(`/v1/rollouts/${rolloutId}/report`, key);

  test('has the medians of the estimate of Kaplan and Meier, by tenant', async () => {
    const { tenants, total, tenants_left_out: leftOut, ...rest } = await report();
    expect(Value.Errors(RolloutReport, { ...rest, tenants, total, tenants_left_out: leftOut })).toEqual([]);
    expect(leftOut).toBe(0);
    const names = await service.db.tenant.findMany({ select: { id: true, name: true } });
    expect(
      tenants.map(({ id, jobs, ready, censored, ttr }) => ({ id, jobs, ready, censored, p50: ttr.p50_ms })),
    ).toEqual([
      {
        id: fleet.tenants[1],
        jobs: 12,
        ready: 11,
        censored: { unfinished: 1, not_ready: 0, failed: 0, cancelled: 0 },
        p50: 23_000,
      },
      {
        id: fleet.tenants[0],
        jobs: 11,
        ready: 7,
        censored: { unfinished: 1, not_ready: 1, failed: 1, cancelled: 1 },
        p50: 31_000,
      },
    ]);
    for (const { id, name } of tenants) expect(name).toBe(names.find((tenant) => tenant.id === id)!.name);
    // Too many of the first tenant's jobs are not ready for a p90.
    expect(tenants[1]!.ttr).toEqual({ p50_ms: 31_000, p90_ms: null, max_ms: 48_000 });
    expect(total).toMatchObject({ jobs: 23, ready: 18, ttr: { max_ms: 48_000 } });
  });

  test('leaves out what was held', async () => {
    const { tenants } = await report();
    expect(tenants.map(({ ttr_without_held: ttr }) => ttr.p50_ms)).toEqual([0.8 * 23_000, 0.8 * 31_000]);
  });

  test('has each phase of the ready jobs, which sum to their time', async () => {
    const { phases } = await report();
    expect(phases.reduce((sum, { share }) => sum + share!, 0)).toBeCloseTo(1, 12);
    const share = (name: string) => phases.find(({ phase }) => phase === name)!;
    expect(share('held')).toMatchObject({ share: expect.closeTo(0.2, 12) as number, max_ms: 9600 });
    expect(share('queue_wait').share).toBeCloseTo(0.1, 12);
    // The median of the 18 times is 23 s, half of which was fine-tuning.
    expect(share('fine_tune').p50_ms).toBe(11_500);
    expect(share('publish')).toEqual({ phase: 'publish', p50_ms: 0, p90_ms: 0, max_ms: 0, share: 0 });
  });

  test('compares with controls as the summary of the rollout does, with an interval', async () => {
    const { speedup } = await report();
    const { summary } = await get<Rollout>(`/v1/rollouts/${rolloutId}`);
    expect(speedup).toMatchObject({ pairs: 6, median: expect.closeTo(4, 9) as number });
    expect(speedup.median).toBe(summary.median_speedup);
    // The base-2 logarithms are 1, 2, 3, 2, 2, 2; the 0.975 quantile of t with 5 degrees of freedom is 2.5706.
    const half = (2.5706 * Math.sqrt(2 / 5)) / Math.sqrt(6);
    expect(speedup.mean).toBeCloseTo(4, 9);
    expect(Math.log2(speedup.low!)).toBeCloseTo(2 - half, 2);
    expect(Math.log2(speedup.high!)).toBeCloseTo(2 + half, 2);
  });

  test('counts device seconds, also those of controls', async () => {
    const { total, tenants, strategies } = await report();
    expect(total.device_seconds).toBeCloseTo(290, 6);
    expect(tenants.map(({ device_seconds: seconds }) => Math.round(seconds))).toEqual([120, 170]);
    expect(strategies.map(({ id, jobs, ready }) => [id, jobs, ready])).toEqual([
      ['relora', 10, 10],
      ['reuse', 8, 8],
      [null, 5, 0],
    ]);
  });

  test('is of a tenant’s own jobs, if a tenant asks', async () => {
    const all = await report();
    for (const [i, key] of keys.entries()) {
      const own = await report(key);
      const expected = all.tenants.find(({ id }) => id === fleet.tenants[i])!;
      expect(own.tenants).toEqual([expected]);
      const { id: _, name: __, ...figures } = expected;
      expect(own.total).toEqual(figures);
      expect(own.speedup.pairs).toBe(i === 0 ? 6 : 0);
    }
    expect((await report(keys[1])).speedup).toEqual({ pairs: 0, median: null, mean: null, low: null, high: null });
  });

  test('is made anew when a job ends, and not before', async () => {
    const url = `/v1/rollouts/${rolloutId}/report`;
    const { headers } = await service.request({ url });
    const again = () => service.request({ url, headers: { 'if-none-match': headers.etag as string } });
    expect((await again()).statusCode).toBe(304);
    const paused = await service.db.job.findFirstOrThrow({ where: { state: 'paused' } });
    const back = { state: paused.state, finishedAt: null };
    await service.db.job.update({ where: { id: paused.id }, data: { state: 'cancelled', finishedAt: new Date() } });
    const after = await again();
    expect(after.statusCode).toBe(200);
    expect(after.json<RolloutReport>().total.censored).toEqual({
      unfinished: 1,
      not_ready: 1,
      failed: 1,
      cancelled: 2,
    });
    await service.db.job.update({ where: { id: paused.id }, data: back });
  });

  test('as CSV has the same figures', async () => {
    const answer = await service.request({ url: `/v1/rollouts/${rolloutId}/report/export` });
    expect(answer.headers['content-type']).toBe('text/csv; charset=utf-8; header=present');
    const lines = answer.body.split('\r\n');
    expect(lines.pop()).toBe('');
    const [header, ...rows] = lines.map((line) => line.split(','));
    expect(header!.slice(0, 6)).toEqual(['part', 'id', 'name', 'jobs', 'ready', 'unfinished']);
    for (const row of rows) expect(row).toHaveLength(header!.length);
    const value = (row: string[], column: string) => row[header!.indexOf(column)];
    const { total, tenants, phases, strategies, speedup } = await report();
    expect(rows.map(([part]) => part)).toEqual([
      'rollout',
      ...tenants.map(() => 'tenant'),
      ...strategies.map(() => 'strategy'),
      ...phases.map(() => 'phase'),
    ]);
    expect(value(rows[0]!, 'p50_ms')).toBe(String(total.ttr.p50_ms));
    expect(value(rows[0]!, 'speedup_low')).toBe(String(speedup.low));
    expect(rows.filter(([part]) => part === 'tenant').map((row) => [value(row, 'id'), value(row, 'p90_ms')])).toEqual(
      tenants.map(({ id, ttr }) => [id, ttr.p90_ms === null ? '' : String(ttr.p90_ms)]),
    );
  });
});

describe('the report of several rollouts', () => {
  const range = 'from=2026-10-31T00:00:00Z&to=2026-11-02T00:00:00Z';
  const report = (query: string, key?: string) => get<TtrReport>(`/v1/reports/ttr?${query}`, key);

  test('is of those that were accepted in the time, of the base model', async () => {
    const one = await get<RolloutReport>(`/v1/rollouts/${rolloutId}/report`);
    const found = await report(range);
    expect(Value.Errors(TtrReport, found)).toEqual([]);
    expect(found).toMatchObject({ rollouts: 1, group_by: 'rollout', total: one.total, speedup: one.speedup });
    expect(found.groups.map(({ id, jobs }) => [id, jobs])).toEqual([[rolloutId, 23]]);
    expect((await report(`${range}&group_by=tenant`)).groups).toEqual(one.tenants);
    expect((await report(`${range}&group_by=strategy`)).groups).toEqual(one.strategies);
    const nothing = { rollouts: 0, total: { jobs: 0, ttr: { p50_ms: null } }, groups: [] };
    expect(await report('from=2026-11-01T00:00:01Z&to=2026-11-02T00:00:00Z')).toMatchObject(nothing);
    expect(await report(`${range}&base_model=another`)).toMatchObject(nothing);
    expect(await report(`${range}&base_model=${fleet.baseModelId}`)).toMatchObject({ rollouts: 1 });
  });

  test('is of a tenant’s own jobs, if a tenant asks', async () => {
    const { total } = await get<RolloutReport>(`/v1/rollouts/${rolloutId}/report`, keys[0]);
    expect(await report(range, keys[0])).toMatchObject({ rollouts: 1, total });
  });

  test('as CSV begins with the whole', async () => {
    const { body } = await service.request({ url: `/v1/reports/ttr/export?${range}&group_by=tenant` });
    expect(
      body
        .split('\r\n')
        .map((line) => line.split(',', 1)[0])
        .slice(0, 5),
    ).toEqual(['part', 'total', 'tenant', 'tenant', 'phase']);
  });

  test('refuses a time that ends before it begins, and too many jobs', async () => {
    const url = '/v1/reports/ttr?from=2026-11-02T00:00:00Z&to=2026-11-01T00:00:00Z';
    const answer = await service.request({ url });
    expect([answer.statusCode, answer.json<{ code: string }>().code]).toEqual([400, 'invalid_request']);
    const rollouts = { get: () => Promise.reject(new Error('not needed')) };
    const query = { from: '2026-10-31T00:00:00Z' };
    const small = createReportService({ db: service.db, rollouts, mostJobs: 28 });
    await expect(small.ttr(query, null)).rejects.toMatchObject({
      code: 'report_too_large',
      status: 422,
      details: { jobs: 29, limit: 28 },
    });
    expect((await small.ttr(query, fleet.tenants[0]!)).total.jobs).toBe(11);
  });

  test('is ended by PostgreSQL where a statement takes too long', async () => {
    const rollouts = { get: () => Promise.reject(new Error('not needed')) };
    const hurried = createReportService({ db: service.db, rollouts, statementMs: 50 });
    const blocker = service.db.$transaction(
      async (tx) => {
        await tx.$executeRaw`LOCK TABLE rollout_counts IN ACCESS EXCLUSIVE MODE`;
        await expect(hurried.ttr({}, null)).rejects.toMatchObject({ code: 'report_too_large', status: 422 });
      },
      { timeout: 20_000 },
    );
    await blocker;
  });
});

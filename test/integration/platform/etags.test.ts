import { randomUUID } from 'node:crypto';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildApp } from '../../../src/api/app.ts';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { insertAdapterVersion } from '../../../src/fleet/adapters/index.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { createJobLifecycle } from '../../../src/fleet/job-control/job-lifecycle.ts';
import type { JobLease } from '../../../src/fleet/job-control/job-lifecycle.repository.ts';
import { createRollout, createRolloutLifecycle } from '../../../src/fleet/rollouts/index.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { bearer, createTestApp, createTestKey, type TestApp } from '../support/index.ts';

let service: TestApp;
let fleet: Fleet;
let rolloutId = '';
let jobIds: string[] = ['', '', ''];
let tenantKey: string;

beforeAll(async () => {
  service = await createTestApp();
  const { db } = service;
  fleet = await createFleet(db, { tenants: 2, adapters: 4 });
  tenantKey = await createTestKey(db, { tenantId: fleet.tenants[0]! });
  const { rollout } = await withTransaction(db, (tx) =>
    createRollout(tx, { baseModelVersionId: fleet.newVersionId, options: {} }),
  );
  rolloutId = rollout.id;
  const lifecycle = createRolloutLifecycle({ db });
  const row = (await lifecycle.beginAnalysis(rolloutId))!;
  await lifecycle.plan({ ...row, options: row.options as never }, new Map());
  jobIds = (await db.job.findMany({ where: { rolloutId }, orderBy: { id: 'asc' } })).map(({ id }) => id);
});
afterAll(async () => {
  await fleet.remove();
  await service.close();
});

const READS = () => ({
  rollout: `/v1/rollouts/${rolloutId}`,
  rollouts: '/v1/rollouts',
  'rollouts by state': '/v1/rollouts?state=adapting&limit=1',
  job: `/v1/jobs/${jobIds[0]}`,
  jobs: '/v1/jobs',
  'jobs of the rollout': `/v1/jobs?rollout_id=${rolloutId}&limit=3`,
  'the last page': `/v1/jobs?limit=2&cursor=${Buffer.from(jobIds[2]!).toString('base64url')}`,
});
type Read = keyof ReturnType<typeof READS>;

async function poll(read: Read, etag?: string, key?: string) {
  const headers = etag === undefined ? {} : { 'if-none-match': etag };
  const answer = await service.request({ url: READS()[read], headers, ...(key === undefined ? {} : { key }) });
  return { status: answer.statusCode, etag: answer.headers.etag as string, body: answer.body, headers: answer.headers };
}

const lifecycle = () => createJobLifecycle({ db: service.db });
let lease: JobLease;
const progress = {
  step: 3,
  totalSteps: 9,
  metricTarget: null,
  metricOld: null,
  metricNone: null,
  metricCopy: null,
  metricBest: null,
};

const EVERY: Read[] = Object.keys(READS()) as Read[];
const OF_JOB: Read[] = ['job', 'jobs', 'the last page'];
/** Changes of the first job, in order, with the reads that must show each. */
const CHANGES: [what: string, seenIn: Read[], change: () => Promise<unknown>][] = [
  ['a claim', EVERY.filter((read) => read !== 'jobs of the rollout'), () => lifecycle().claim(lease)],
  ['progress', OF_JOB, () => lifecycle().heartbeat(lease, progress)],
  ['a warning alone', OF_JOB, () => service.db.job.update({ where: { id: jobIds[0]! }, data: { warnings: ['long'] } })],
  ['a phase', ['rollout', 'rollouts', ...OF_JOB], () => lifecycle().advancePhase(lease, 'evaluate')],
  [
    'a publication',
    ['rollout', 'rollouts', ...OF_JOB],
    () => {
      const candidate = { strategy: 'reuse', fusionAlpha: null, fusionBeta: null, value: 0.9, certificate: null };
      return lifecycle().publish(lease, candidate, async (tx) => {
        const job = await tx.job.findUniqueOrThrow({ where: { id: jobIds[0]! }, include: { sourceVersion: true } });
        const { rank, loraAlpha, artifactDigest, tenantId, adapterId } = job.sourceVersion!;
        const version = {
          id: newId('adapterVersion'),
          tenantId,
          adapterId,
          rank,
          loraAlpha,
          artifactDigest,
          jobId: job.id,
        };
        await insertAdapterVersion(tx, { ...version, baseModelVersionId: fleet.newVersionId, origin: 'adapted' });
        return version.id;
      });
    },
  ],
  ['the end', OF_JOB, () => lifecycle().end(lease, rolloutId, { state: 'ready' })],
];

describe('an answer that is polled', () => {
  test.each(EVERY)('is not sent again: %s', async (read) => {
    const first = await poll(read);
    expect(first).toMatchObject({ status: 200, etag: expect.stringMatching(/^W\/"[\w-]+"$/) });
    expect(await poll(read, first.etag)).toMatchObject({ status: 304, etag: first.etag, body: '' });
    expect(await poll(read, '*')).toMatchObject({ status: 304 });
    expect(await poll(read, 'W/"other"')).toMatchObject({ status: 200, etag: first.etag, body: first.body });
  });

  test('is sent again after every change that it shows', async () => {
    lease = { jobId: jobIds[0]!, owner: randomUUID() };
    for (const [what, seenIn, change] of CHANGES) {
      const before = await Promise.all(EVERY.map((read) => poll(read)));
      await change();
      // Imitates another process, without cached bodies.
      const other = await buildApp(service.config, { ...service.deps, metrics: new Registry() });
      for (const [place, read] of EVERY.entries()) {
        const { etag, body } = before[place]!;
        const after = await poll(read, etag);
        const fresh = await other.inject({ url: READS()[read], headers: bearer(service.operatorKey) });
        expect((await poll(read)).body, `${read} after ${what}`).toBe(fresh.body);
        if (seenIn.includes(read)) expect(fresh.body, `${read} after ${what}`).not.toBe(body);
        if (fresh.body !== body)
          expect(after, `${read} after ${what}`).toMatchObject({ status: 200, body: fresh.body });
      }
      await other.close();
    }
  });

  test('is not made again where it has not changed, and each tenant is sent its own', async () => {
    const stranger = await createTestKey(service.db, { tenantId: fleet.tenants[1]! });
    for (const key of [service.operatorKey, tenantKey, stranger]) {
      const first = await poll('jobs', undefined, key);
      expect(first.headers['content-type']).toBe('application/json; charset=utf-8');
      expect(await poll('jobs', undefined, key)).toMatchObject({ status: 200, etag: first.etag, body: first.body });
    }
    const own = JSON.parse((await poll('jobs', undefined, stranger)).body) as { data: { tenant_id: string }[] };
    expect(new Set(own.data.map((job) => job.tenant_id))).toEqual(new Set([fleet.tenants[1]]));
  });

  test('names an adapter as before when it is deleted, which is no change of the job', async () => {
    const id = jobIds[1]!;
    const read = () => service.request({ url: `/v1/jobs/${id}` });
    const before = await read();
    const { adapter_id: adapterId } = before.json<{ adapter_id: string }>();
    await service.db.job.update({ where: { id }, data: { state: 'cancelled', finishedAt: new Date() } });
    const cancelled = await read();
    const deleted = await service.request({ method: 'DELETE', url: `/v1/adapters/${adapterId}` });
    expect(deleted.statusCode, deleted.body).toBeLessThan(300);
    const other = await buildApp(service.config, { ...service.deps, metrics: new Registry() });
    const fresh = await other.inject({ url: `/v1/jobs/${id}`, headers: bearer(service.operatorKey) });
    expect(fresh.body).toBe(cancelled.body);
    await other.close();
  });

  test('is sent again when an evolution is known', async () => {
    const { etag } = await poll('rollout');
    const id = newId('evolution');
    const data = { id, oldBaseModelVersionId: fleet.oldVersionId, newBaseModelVersionId: fleet.newVersionId };
    await service.db.evolution.create({ data });
    const pending = await poll('rollout', etag);
    expect(pending.status).toBe(200);
    await service.db.evolution.update({ where: { id }, data: { state: 'ready', drift: 0.1 } });
    expect(await poll('rollout', pending.etag)).toMatchObject({ status: 200 });
  });

  test('has another ETag for a tenant, whose body is another', async () => {
    const [operator, tenant] = [await poll('rollout'), await poll('rollout', undefined, tenantKey)];
    expect(tenant.etag).not.toBe(operator.etag);
    expect(await poll('rollout', operator.etag, tenantKey)).toMatchObject({ status: 200 });
    expect(await poll('rollout', tenant.etag, tenantKey)).toMatchObject({ status: 304 });
  });

  test('has none where it does not exist', async () => {
    for (const url of [`/v1/jobs/${newId('job')}`, `/v1/rollouts/${newId('rollout')}`]) {
      const answer = await service.request({ url, headers: { 'if-none-match': '*' } });
      expect(answer.statusCode).toBe(404);
      expect(answer.headers.etag).toBeUndefined();
    }
    const stranger = await createTestKey(service.db, { tenantId: fleet.tenants[1]! });
    const headers = { 'if-none-match': (await poll('job')).etag };
    const answer = await service.request({ url: READS().job, headers, key: stranger });
    expect(answer.statusCode).toBe(404);
  });
});

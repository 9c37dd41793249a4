import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '../../../src/platform/contract/ids.ts';
import type { Attention } from '../../../src/operations/overview/attention.schemas.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestApp, createTestKey, type TestApp } from '../support/index.ts';

let service: TestApp;
let fleet: Fleet;
/** Identifiers of rollouts by the case that they exemplify. */
const rollouts: Record<string, string> = {};
let worker: string;
let endpoints: string[];

const ago = (ms: number) => new Date(Date.now() - ms);
const DAY_MS = 86_400_000;

beforeAll(async () => {
  service = await createTestApp();
  fleet = await createFleet(service.db, { tenants: 2, adapters: 4, of: [3, 1] });
  await addRollouts();
  await addJobs();
  await addOthers();
});
afterAll(async () => {
  await fleet.remove();
  await service.close();
});

async function addRollouts(): Promise<void> {
  const examples: Record<string, object> = {
    waiting: { state: 'adapting', awaitingApproval: true },
    tripped: { state: 'paused', pausedAt: ago(5000), pausedReason: { code: 'pause_if', message: 'too many' } },
    'paused by hand': { state: 'paused', pausedAt: ago(5000), pausedReason: { code: 'requested', message: '' } },
    failed: { state: 'failed', finishedAt: ago(DAY_MS), error: { code: 'broken', message: '' } },
    'failed long ago': { state: 'failed', finishedAt: ago(8 * DAY_MS) },
    late: { state: 'adapting', deadlineMissedAt: ago(60_000) },
    'late and over': { state: 'completed', deadlineMissedAt: ago(60_000), finishedAt: ago(1000) },
    approvals: { state: 'adapting' },
  };
  for (const [name, data] of Object.entries(examples)) {
    const row = { id: newId('rollout'), baseModelVersionId: fleet.newVersionId, options: {}, ...data };
    rollouts[name] = (await service.db.rollout.create({ data: row })).id;
  }
}

/**
 * Adds jobs: two of the first tenant and one of the second wait for their tenants, and one waits for something else.
 */
async function addJobs(): Promise<void> {
  const adapters = await service.db.adapter.findMany({ orderBy: { id: 'asc' } });
  const first = adapters.filter(({ tenantId }) => tenantId === fleet.tenants[0]);
  const [second] = adapters.filter(({ tenantId }) => tenantId === fleet.tenants[1]);
  const chosen = [...first.map((adapter, i) => ({ adapter, approval: i < 2 ? 'awaited' : null }))];
  chosen.push({ adapter: second!, approval: 'awaited' });
  await service.db.job.createMany({
    data: chosen.map(({ adapter: { id: adapterId, tenantId }, approval }) => ({
      ...{ id: newId('job'), adapterId, tenantId, rolloutId: rollouts.approvals!, approval },
      ...{ state: 'held' as const, strategy: 'auto', metricName: 'loss' },
    })),
  });
}

async function addOthers(): Promise<void> {
  const { db } = service;
  const found = { pid: 1, version: '1', device: 'cpu', loadedBases: [], unreadableBases: [] };
  const row = { ...found, state: 'quarantined', reason: 'its disk is full' };
  worker = (await db.workerProcess.create({ data: { id: newId('worker'), host: 'node-7', ...row } })).id;
  await db.workerProcess.create({ data: { id: newId('worker'), host: 'gone', ...row, seenAt: ago(DAY_MS) } });
  endpoints = [];
  for (const [tenantId, disabledReason] of [
    [null, 'failing'],
    [fleet.tenants[0]!, 'gone'],
    [fleet.tenants[1]!, 'requested'],
  ] as const) {
    const data = { id: newId('webhookEndpoint'), tenantId, url: 'https://x.example', eventTypes: [], enabled: false };
    const position = { positionTransactionId: 0n, positionSeq: 0n };
    endpoints.push((await db.webhookEndpoint.create({ data: { ...data, ...position, disabledReason } })).id);
  }
  const retiresAt = new Date(Date.now() + 10 * DAY_MS);
  await db.baseModelVersion.update({ where: { id: fleet.oldVersionId }, data: { retiresAt } });
  // Nothing is served on this version.
  await db.baseModelVersion.update({ where: { id: fleet.newVersionId }, data: { retiresAt } });
}

async function get(tenantId: string | null, scope?: string): Promise<Attention> {
  const key = await createTestKey(service.db, { tenantId, ...(scope !== undefined && { scopes: [scope] }) });
  const answer = await service.request({ url: '/v1/attention', key });
  expect(answer.statusCode, answer.body).toBe(200);
  return answer.json<Attention>();
}
const shown = ({ data }: Attention) =>
  data.map(({ kind, subject_id, count, reason }) => [kind, subject_id, count, reason]);

test('the operator is told of all that waits, and of nothing that does not', async () => {
  const attention = await get(null, 'operator:read');
  expect(shown(attention).sort()).toEqual(
    [
      ['wave_awaits_approval', rollouts.waiting, null, null],
      ['rollout_paused_itself', rollouts.tripped, null, 'pause_if'],
      ['rollout_failed', rollouts.failed, null, 'broken'],
      ['deadline_missed', rollouts.late, null, null],
      ['jobs_await_approval', rollouts.approvals, 2, null],
      ['jobs_await_approval', rollouts.approvals, 1, null],
      ['worker_quarantined', worker, null, 'its disk is full'],
      ['webhook_endpoint_disabled', endpoints[0], null, 'failing'],
      ['webhook_endpoint_disabled', endpoints[1], null, 'gone'],
      ['base_model_version_retires', fleet.oldVersionId, 4, null],
    ].sort(),
  );
  expect(attention.counts).toMatchObject({ jobs_await_approval: 2, rollout_failed: 1, webhook_endpoint_disabled: 2 });
  const times = attention.data.flatMap(({ since }) => since ?? []);
  expect(times).toEqual(times.toSorted());
});

test('a tenant is told of what it can do something about', async () => {
  expect(shown(await get(fleet.tenants[0]!)).sort()).toEqual(
    [
      ['jobs_await_approval', rollouts.approvals, 2, null],
      ['webhook_endpoint_disabled', endpoints[1], null, 'gone'],
      ['base_model_version_retires', fleet.oldVersionId, 3, null],
    ].sort(),
  );
  expect(shown(await get(fleet.tenants[1]!))).not.toContainEqual(expect.arrayContaining([endpoints[2]]));
});

test('who may not see webhook endpoints is told of none', async () => {
  const { counts } = await get(fleet.tenants[0]!, 'tenant:read');
  expect(counts).toEqual({ jobs_await_approval: 1, base_model_version_retires: 1 });
});

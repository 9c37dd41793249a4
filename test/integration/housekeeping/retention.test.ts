import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { HousekeepingTask } from '../../../src/operations/housekeeping/housekeeper.ts';
import { createHousekeeper } from '../../../src/operations/housekeeping/housekeeper.ts';
import { exclusively } from '../../../src/operations/housekeeping/housekeeping.repository.ts';
import { pruneDeviceUses } from '../../../src/operations/housekeeping/retention.repository.ts';
import { retentionTasks } from '../../../src/operations/housekeeping/retention.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { writeAuditEntry } from '../../../src/tenants/audit/index.ts';
import { pruneLog, recordEvent } from '../../../src/delivery/events/index.ts';
import { leftOpen } from '../events/support.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { eventually } from '../../eventually.ts';
import {
  createTestApp,
  createTestTenant,
  unknownEvent,
  untilReadable,
  type TestApp,
  type TestTenant,
} from '../support/index.ts';

const DAY = 86_400_000;
const BATCH = 5;
const DAYS = {
  eventRetentionDays: 30,
  metricRetentionDays: 30,
  auditRetentionDays: 30,
  deviceUseRetentionDays: 40,
  webhookRetentionDays: 30,
};
const NOTHING = { events: 0, metric_points: 0, audit_entries: 0, device_uses: 0, webhook_deliveries: 0 };

let app: TestApp;
let busy: TestTenant;
let quiet: TestTenant;
beforeAll(async () => {
  app = await createTestApp();
  busy = await createTestTenant(app.db, 'busy');
  quiet = await createTestTenant(app.db, 'quiet');
});
afterAll(() => app.close());
beforeEach(() => app.db.event.deleteMany());

const running = () => new AbortController().signal;
const tasks = (): HousekeepingTask[] => retentionTasks({ db: app.db, ...DAYS, batch: BATCH });
const prune = async () => {
  let removed = {};
  for (const task of tasks()) removed = { ...removed, ...(await task.run(running())) };
  return removed;
};

/** Records events of a tenant or the operator, with the given ages in days, and waits until they can be read. */
async function happened(tenantId: string | null, ages: readonly number[]): Promise<void> {
  await record(tenantId, ages);
  await untilReadable(app.db);
}

async function record(tenantId: string | null, ages: readonly number[]): Promise<void> {
  for (const age of ages) {
    const subjectId = newId('job');
    await withTransaction(app.db, (tx) => recordEvent(tx, unknownEvent({ tenantId, subjectId, data: { age } })));
    await app.db.event.updateMany({ where: { subjectId }, data: { occurredAt: new Date(Date.now() - age * DAY) } });
  }
}

interface Answer {
  status: number;
  body: { data: { sequence: string; data: { age: number } }[]; next_after: string; [key: string]: unknown };
}

async function read(after: string | null, key?: string): Promise<Answer> {
  const query = after === null ? '' : `?after=${after}`;
  const response = await app.request({
    method: 'GET',
    url: `/v1/events${query}`,
    ...(key === undefined ? {} : { key }),
  });
  return { status: response.statusCode, body: response.json() };
}
const ages = ({ body }: Answer) => body.data.map((event) => event.data.age);

describe('events', () => {
  test('that are old are pruned, all of them, however many there are', async () => {
    await happened(busy.id, [90, 80, 70, 60, 59, 58, 57, 56, 55, 54, 53, 52]);
    await happened(null, [50, 2]);
    expect(await prune()).toMatchObject({ events: 13 });
    expect(ages(await read(null))).toEqual([2]);
    expect(await prune()).toMatchObject({ events: 0 });
  });

  test('a transaction prunes no more than a batch, and only one process prunes at a time', async () => {
    await happened(busy.id, [90, 80, 70]);
    expect(await withTransaction(app.db, (tx) => pruneLog(tx, 'events', { days: 30, limit: 2 }))).toBe(2);
    await exclusively(app.db, async () => expect(await prune()).toEqual(NOTHING));
    expect(await prune()).toMatchObject({ events: 1 });
  });

  test('a reader who comes too late is told where to go on', async () => {
    await happened(busy.id, [90, 80, 2, 1]);
    const seen = (await read(null, busy.key)).body.data;
    await prune();
    for (const key of [busy.key, undefined]) {
      const late = await read(seen[0]!.sequence, key);
      expect(late).toMatchObject({ status: 410, body: { code: 'position_expired', pruned_up_to: seen[1]!.sequence } });
      expect(late.body.detail).toContain(`after=${seen[1]!.sequence}`);
      expect(late.body.detail).toContain('READAPT_EVENT_RETENTION_DAYS');
      expect(ages(await read(late.body.pruned_up_to as string, key))).toEqual([2, 1]);
    }
    expect(ages(await read(seen[2]!.sequence, busy.key))).toEqual([1]);
  });

  test('a reader who begins gets what is kept', async () => {
    await happened(busy.id, [90, 2]);
    await prune();
    for (const after of [null, '0', '0-0']) expect(ages(await read(after, busy.key))).toEqual([2]);
  });

  test('a tenant who has missed nothing goes on, however long ago its last event was', async () => {
    await happened(quiet.id, [90]);
    const { next_after: position } = (await read(null, quiet.key)).body;
    await happened(busy.id, [80, 70]);
    await prune();
    expect(await read(position, quiet.key)).toMatchObject({ status: 200, body: { data: [], next_after: position } });
    await happened(quiet.id, [0]);
    expect(ages(await read(position, quiet.key))).toEqual([0]);
    expect(await read(position)).toMatchObject({ status: 410 });
  });

  test('one that is not old enough keeps those after it, so that no gap comes into the list', async () => {
    await happened(busy.id, [90, 2, 80]);
    await prune();
    expect(ages(await read(null, busy.key))).toEqual([2, 80]);
  });

  test('what readers cannot see yet is kept', async () => {
    await happened(null, [90]);
    const event = unknownEvent({ tenantId: null, subjectId: newId('job'), data: { age: 0 } });
    const commit = await leftOpen(app.db, (tx) => recordEvent(tx, event));
    await record(null, [80]);
    expect(await prune()).toMatchObject({ events: 1 });
    await commit();
    await untilReadable(app.db);
    expect(ages(await read(null))).toEqual([0, 80]);
  });

  test('nothing is pruned where retention is off', async () => {
    await happened(busy.id, [9000]);
    const forever = Object.fromEntries(Object.keys(DAYS).map((name) => [name, null])) as Record<
      keyof typeof DAYS,
      null
    >;
    for (const task of retentionTasks({ db: app.db, ...forever })) {
      expect(Object.values(await task.run(running()))).toEqual([0]);
    }
    expect(await app.db.event.count()).toBe(1);
  });

  test('the housekeeper prunes by itself, and goes on after a task that failed', async () => {
    await happened(busy.id, [90]);
    const broken: HousekeepingTask = { name: 'broken', run: () => Promise.reject(new Error('no')) };
    const logger = createLogger({ level: 'silent', pretty: false });
    const housekeeper = createHousekeeper({ tasks: [broken, ...tasks()], logger, delayMs: 0, intervalMs: 10 });
    housekeeper.start();
    await eventually('the old event is pruned', async () => (await app.db.event.count()) === 0);
    await happened(busy.id, [90]);
    await eventually('the next one is pruned', async () => (await app.db.event.count()) === 0);
    await housekeeper.stop();
  });
});

describe('audit entries', () => {
  beforeEach(() => app.db.auditEntry.deleteMany());

  /** Writes audit entries of a tenant or the operator, with the given ages in days. */
  async function changed(tenantId: string | null, ages: readonly number[]): Promise<void> {
    for (const age of ages) {
      const subjectId = newId('job');
      const actor = { kind: 'operator', keyId: null } as const;
      const entry = { tenantId, subjectId, actor, operation: 'x', before: null, after: { age }, requestId: null };
      await withTransaction(app.db, (tx) => writeAuditEntry(tx, entry));
      const occurredAt = new Date(Date.now() - age * DAY);
      await app.db.auditEntry.updateMany({ where: { subjectId }, data: { occurredAt } });
    }
    await untilReadable(app.db);
  }
  const ask = (path: string, key?: string) => app.request({ url: path, ...(key === undefined ? {} : { key }) });
  const list = async (after: string, key?: string) => {
    const response = await ask(`/v1/audit-log?after=${after}`, key);
    return { status: response.statusCode, body: response.json() };
  };
  const agesOf = (data: { after: { age: number } }[]) => data.map(({ after }) => after.age);

  test('that are old are pruned in batches, and those after one that is not old enough stay', async () => {
    await changed(busy.id, [90, 80, 70, 60, 59, 58, 57]);
    await changed(null, [56, 2, 55]);
    expect(await withTransaction(app.db, (tx) => pruneLog(tx, 'audit_entries', { days: 30, limit: 2 }))).toBe(2);
    expect(await prune()).toMatchObject({ audit_entries: 6 });
    expect(agesOf((await list('0')).body.data)).toEqual([2, 55]);
  });

  test('a reader who comes too late is told where to go on, and one who has missed nothing goes on', async () => {
    await changed(quiet.id, [95]);
    await changed(busy.id, [90, 80, 2, 1]);
    const seen = (await list('0', busy.key)).body.data as { sequence: string }[];
    const position = (await list('0', quiet.key)).body.next_after as string;
    await prune();
    for (const key of [busy.key, undefined]) {
      const late = await list(seen[0]!.sequence, key);
      expect(late).toMatchObject({ status: 410, body: { code: 'position_expired', pruned_up_to: seen[1]!.sequence } });
      expect(late.body.detail).toContain('READAPT_AUDIT_RETENTION_DAYS');
      expect((await ask(`/v1/audit-log/export?after=${seen[0]!.sequence}`, key)).statusCode).toBe(410);
      expect(agesOf((await list(late.body.pruned_up_to, key)).body.data)).toEqual([2, 1]);
    }
    const rest = await ask(`/v1/audit-log/export?after=${seen[1]!.sequence}`, busy.key);
    expect(rest.body.trimEnd().split('\n')).toHaveLength(2);
    expect(await list(position, quiet.key)).toMatchObject({ status: 200, body: { data: [], next_after: position } });
  });

  test('have a position of their own, which pruned events do not move', async () => {
    const { id, key } = await createTestTenant(app.db, 'new');
    await happened(id, [90, 2]);
    await changed(id, [3, 2]);
    expect(await prune()).toMatchObject({ events: 1, audit_entries: 0 });
    expect((await read('1-1', key)).status).toBe(410);
    const found = await list('1-1', key);
    expect([found.status, agesOf(found.body.data)]).toEqual([200, [3, 2]]);
  });
});

describe('device uses', () => {
  test('that ended long ago are pruned in batches, and what counts for the month stays', async () => {
    const now = Date.now();
    const uses = Array.from({ length: 12 }, (_, age) => ({
      tenantId: busy.id,
      jobId: newId('job'),
      startedAt: new Date(now - (age * 10 + 1) * DAY),
      endedAt: new Date(now - age * 10 * DAY),
    }));
    await app.db.deviceUse.createMany({ data: uses });
    const used = async () => (await app.request({ url: `/v1/tenants/${busy.id}/quotas` })).json().quotas as unknown;
    const before = await used();
    expect(await withTransaction(app.db, (tx) => pruneDeviceUses(tx, { days: 100, limit: 1 }))).toBe(1);
    expect(await prune()).toMatchObject({ device_uses: 7 });
    expect(await app.db.deviceUse.count()).toBe(4);
    expect(await used()).toEqual(before);
  });
});

describe('webhook deliveries', () => {
  test('of long ago are pruned in batches with secrets that sign no more, and what is to be sent stays', async () => {
    const now = Date.now();
    const position = { positionTransactionId: 0n, positionSeq: 0n };
    const tenantId = busy.id;
    const endpointId = newId('webhookEndpoint');
    const secrets = [now - DAY, now + DAY].map((time) => {
      return { id: newId('webhookSecret'), tenantId, sealed: 'x', expiresAt: new Date(time) };
    });
    const data = { id: endpointId, tenantId, url: 'https://hooks.example.com/', ...position };
    await app.db.webhookEndpoint.create({ data: { ...data, secrets: { create: secrets } } });
    await app.db.webhookDelivery.createMany({
      data: Array.from({ length: 12 }, (_, age) => ({
        id: newId('webhookDelivery'),
        endpointId,
        tenantId,
        eventId: newId('event'),
        eventType: 'job.ready',
        state: age === 11 ? 'pending' : age % 2 === 0 ? 'delivered' : 'failed',
        lastAttemptAt: new Date(now - age * 10 * DAY - 1000),
      })),
    });
    expect(await prune()).toMatchObject({ webhook_deliveries: 8 });
    expect(await app.db.webhookDelivery.count({ where: { endpointId } })).toBe(4);
    expect(await app.db.webhookSecret.findMany({ where: { endpointId } })).toMatchObject([{ id: secrets[1]!.id }]);
    await app.db.webhookEndpoint.delete({ where: { id: endpointId } });
  });
});

describe('metric points', () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await createFleet(app.db, { tenants: 1, adapters: 3 });
  });
  afterAll(() => fleet.remove());

  test('of jobs that ended long ago are pruned, and those of others do not hold them up', async () => {
    const { id: rolloutId } = await app.db.rollout.create({
      data: { id: newId('rollout'), baseModelVersionId: fleet.newVersionId, options: {} },
    });
    const finished = [null, new Date(Date.now() - 2 * DAY), new Date(Date.now() - 40 * DAY)];
    const recordedAt = new Date(Date.now() - 50 * DAY);
    const jobs: string[] = [];
    for (const [index, finishedAt] of finished.entries()) {
      const version = await app.db.adapterVersion.findFirstOrThrow({ where: { adapterId: fleet.adapters[index]! } });
      const { id: jobId, tenantId } = await app.db.job.create({
        data: {
          id: newId('job'),
          tenantId: version.tenantId,
          rolloutId,
          adapterId: version.adapterId,
          sourceVersionId: version.id,
          strategy: 'auto',
          metricName: 'accuracy',
          finishedAt,
        },
      });
      const points = Array.from({ length: 7 }, (_, step) => ({
        tenantId,
        jobId,
        name: 'loss',
        step,
        value: 1,
        recordedAt,
      }));
      await app.db.metricPoint.createMany({ data: points });
      jobs.push(jobId);
    }
    expect(await prune()).toMatchObject({ metric_points: 7 });
    const count = (jobId: string) => app.db.metricPoint.count({ where: { jobId } });
    expect(await Promise.all(jobs.map(count))).toEqual([7, 7, 0]);
  });
});

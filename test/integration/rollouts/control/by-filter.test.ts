import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { NO_QUOTAS } from '../../../../src/platform/config/quotas.ts';
import { createSweeper } from '../../../../src/platform/queue/index.ts';
import { withTransaction, type Database } from '../../../../src/platform/database/database.ts';
import { unrecorded } from '../../../../src/platform/contract/record-answer.ts';
import type { RecordChange } from '../../../../src/platform/contract/record-change.ts';
import type { ChangedRolloutJobs } from '../../../../src/fleet/job-control/by-filter/by-filter.schemas.ts';
import { createJobsByFilter } from '../../../../src/fleet/job-control/by-filter/jobs-by-filter.ts';
import {
  createRollout,
  createRolloutLifecycle,
  createRolloutService,
  type StoredOptions,
} from '../../../../src/fleet/rollouts/index.ts';
import { confineTo } from '../../../../src/platform/database/row-security/confined-database.repository.ts';
import { createFleet, type Fleet, type FleetSize } from '../../queue/fleet.ts';
import { createTestQueue, logger, queueKind, type TestQueue } from '../../queue/test-queue.ts';
import { createTestApp, createTestKey, type TestApp } from '../../support/index.ts';

interface Planned {
  fleet: Fleet;
  rolloutId: string;
  /** Identifiers of the jobs, sorted. */
  jobIds: string[];
}

let queue: TestQueue;
let db: Database;
let app: TestApp;
let operatorKey: string;
const fleets: Fleet[] = [];

beforeAll(async () => {
  queue = await createTestQueue();
  db = queue.database.db;
  app = await createTestApp({ deps: { db, producer: queue.producer } });
  operatorKey = await createTestKey(db);
});
afterEach(async () => {
  for (const fleet of fleets.splice(0)) await fleet.remove();
});
afterAll(async () => {
  await app.close();
  await queue.close();
});

/** Creates a rollout whose jobs are planned and enqueued. */
async function planned(size: FleetSize): Promise<Planned> {
  const fleet = await createFleet(db, size);
  fleets.push(fleet);
  const baseModelVersionId = fleet.newVersionId;
  const { rollout } = await withTransaction(db, (tx) =>
    createRollout(tx, { baseModelVersionId, options: { max_steps: 100 } }),
  );
  const lifecycle = createRolloutLifecycle({ db });
  const options = (await lifecycle.beginAnalysis(rollout.id))!.options as StoredOptions;
  await lifecycle.plan({ id: rollout.id, baseModelVersionId, options }, new Map(), (entries) =>
    queue.producer.enqueueAfterCommit(entries),
  );
  const jobs = await db.job.findMany({ where: { rolloutId: rollout.id }, orderBy: { id: 'asc' } });
  return { fleet, rolloutId: rollout.id, jobIds: jobs.map(({ id }) => id) };
}

async function ask(rolloutId: string, action: string, body?: object, key = operatorKey): Promise<ChangedRolloutJobs> {
  const url = `/v1/rollouts/${rolloutId}/jobs/${action}`;
  const answer = await app.request({ method: 'POST', url, key, ...(body !== undefined && { payload: body }) });
  expect(answer.statusCode, answer.body).toBe(200);
  return answer.json();
}

const UNLESS_SAID = { dry_run: false, left: [], next_cursor: null };
const answerOf = (counts: Partial<ChangedRolloutJobs>) => ({ ...UNLESS_SAID, ...counts });
const inState = async (rolloutId: string, state: 'paused' | 'queued' | 'cancelled' | 'failed') =>
  (await db.job.findMany({ where: { rolloutId, state }, orderBy: { id: 'asc' } })).map(({ id }) => id);
const eventsOf = (rolloutId: string, type: string) =>
  db.event.count({ where: { type, data: { path: ['rollout_id'], equals: rolloutId } } });
const auditOf = (subjectId: string) => db.auditEntry.findMany({ where: { subjectId }, orderBy: { id: 'asc' } });
const fail = (ids: readonly string[], code: string) =>
  db.job.updateMany({
    where: { id: { in: [...ids] } },
    data: { state: 'failed', finishedAt: new Date(), error: { code, message: 'it has failed' } },
  });
const tenantKey = (tenantId: string) => createTestKey(db, { tenantId, scopes: ['tenant:write'] });

/** Everything that an action could change. */
const everything = async (rolloutId: string) => ({
  jobs: await db.job.findMany({ where: { rolloutId }, orderBy: { id: 'asc' } }),
  rollout: await db.rollout.findUniqueOrThrow({ where: { id: rolloutId } }),
  events: await db.event.count(),
  entries: await db.auditEntry.count(),
  queued: await queue.producer.count('adaptations'),
});

describe(`jobs by a filter, queue on ${queueKind}`, () => {
  test('are those that meet all that it names', async () => {
    const { fleet, rolloutId, jobIds } = await planned({ tenants: 2, adapters: 8 });
    const jobs = await db.job.findMany({ where: { rolloutId }, orderBy: { id: 'asc' } });
    const label = (id: string, labels: object) => db.adapter.update({ where: { id }, data: { labels } });
    await label(jobs[0]!.adapterId, { tier: 'gold', region: 'eu' });
    await label(jobs[1]!.adapterId, { tier: 'gold' });
    await fail(jobIds.slice(4, 6), 'gate_not_reached');
    await fail(jobIds.slice(6, 7), 'out_of_memory');
    const [first] = fleet.tenants;
    const matching = async (action: string, filter: object) => {
      const { matched, changed } = await ask(rolloutId, action, { filter, dry_run: true });
      expect(changed).toBe(matched);
      return matched;
    };
    const live = jobs.filter(({ id }) => !jobIds.slice(4, 7).includes(id));
    expect(await matching('pause', {})).toBe(5);
    expect(await matching('cancel', { states: ['queued'] })).toBe(5);
    expect(await matching('pause', { states: ['preparing', 'paused'] })).toBe(0);
    expect(await matching('pause', { tenants: [first] })).toBe(live.filter((job) => job.tenantId === first).length);
    expect(await matching('pause', { adapters: [jobs[0]!.adapterId, jobs[2]!.adapterId] })).toBe(2);
    expect(await matching('pause', { labels: { tier: 'gold' } })).toBe(2);
    expect(await matching('pause', { labels: { tier: 'gold', region: 'eu' } })).toBe(1);
    expect(await matching('pause', { labels: { tier: 'gold' }, adapters: [jobs[1]!.adapterId] })).toBe(1);
    expect(await matching('retry', {})).toBe(3);
    expect(await matching('retry', { error_codes: ['gate_not_reached'] })).toBe(2);
    expect(await matching('retry', { error_codes: ['gate_not_reached', 'out_of_memory'] })).toBe(3);
    expect(await matching('retry', { error_codes: ['gate_not_reached'], states: ['cancelled'] })).toBe(0);
    expect(await ask(rolloutId, 'pause', { filter: { labels: { tier: 'gold' } } })).toEqual(
      answerOf({ matched: 2, changed: 2 }),
    );
    expect(await inState(rolloutId, 'paused')).toEqual(jobIds.slice(0, 2));
  });

  let unchanged: Planned | undefined;
  test.each([
    ['an unknown criterion', { filter: { kind: 'control' } }],
    ['an empty list, which is a slip', { filter: { states: [] } }],
    ['an unknown state', { filter: { states: ['slow'] } }],
    ['more values than there may be', { filter: { error_codes: Array.from({ length: 1001 }, () => 'x') } }],
    ['options of anything but a retry', { options: { max_steps: 1 } }],
  ])('refuses %s', async (_what, payload) => {
    unchanged ??= await planned({ tenants: 1, adapters: 1 });
    const url = `/v1/rollouts/${unchanged.rolloutId}/jobs/pause`;
    const answer = await app.request({ method: 'POST', url, key: operatorKey, payload });
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'invalid_request']);
  });

  test('of a rollout that does not exist are not found', async () => {
    const url = '/v1/rollouts/rol_01900000-0000-7000-8000-000000000000/jobs/cancel';
    const answer = await app.request({ method: 'POST', url, key: operatorKey });
    expect([answer.statusCode, answer.json().code]).toEqual([404, 'not_found']);
  });

  test('are the own ones of a tenant, whomever it names', async () => {
    const { fleet, rolloutId } = await planned({ tenants: 2, adapters: 6 });
    const [mine, other] = fleet.tenants as [string, string];
    const key = await tenantKey(mine);
    const others = () => db.job.findMany({ where: { rolloutId, tenantId: other }, orderBy: { id: 'asc' } });
    const before = await others();
    for (const filter of [{ tenants: [other] }, { adapters: before.map((job) => job.adapterId) }]) {
      expect(await ask(rolloutId, 'cancel', { filter }, key)).toEqual(answerOf({ matched: 0, changed: 0 }));
    }
    const filter = { adapters: fleet.adapters };
    expect(await ask(rolloutId, 'cancel', { filter }, key)).toEqual(answerOf({ matched: 3, changed: 3 }));
    expect(await ask(rolloutId, 'retry', { filter }, key)).toEqual(answerOf({ matched: 3, changed: 3 }));
    expect(await others()).toEqual(before);
    expect(await auditOf(rolloutId)).toMatchObject([
      { operation: 'cancelRolloutJobs', tenantId: mine, before: null, after: { filter } },
      { operation: 'retryRolloutJobs', tenantId: mine, before: null, after: { filter } },
    ]);
  });

  test.each([
    ['by the conditions of the query alone', (tenantId: string) => ({ scope: tenantId })],
    ['by the database alone', (tenantId: string) => ({ db: confineTo(db, tenantId), scope: null })],
  ])('are the own ones of a tenant %s', async (_what, callerOf) => {
    const { fleet, rolloutId } = await planned({ tenants: 2, adapters: 6 });
    const [mine] = fleet.tenants as [string];
    const { scope, ...confined } = callerOf(mine);
    const answer = await service(confined).change(rolloutId, 'cancel', { scope, recordChange: unrecorded });
    expect(answer).toEqual(answerOf({ matched: 3, changed: 3 }));
    const cancelled = await db.job.findMany({ where: { rolloutId, state: 'cancelled' } });
    expect(cancelled.map(({ tenantId }) => tenantId)).toEqual([mine, mine, mine]);
  });

  test('leave an audit entry for the operator, and for each tenant one that names no other', async () => {
    const { fleet, rolloutId } = await planned({ tenants: 3, adapters: 6 });
    const tenants = fleet.tenants.slice(0, 2);
    const filter = { states: ['queued'], tenants };
    expect(await ask(rolloutId, 'pause', { filter })).toMatchObject({ changed: 4 });
    const entries = await auditOf(rolloutId);
    expect(entries.map(({ tenantId, after }) => ({ tenantId, after }))).toEqual(
      expect.arrayContaining([
        { tenantId: null, after: { filter } },
        ...tenants.map((tenantId) => ({ tenantId, after: { filter: { states: ['queued'] } } })),
      ]),
    );
    expect(entries).toHaveLength(3);
    await ask(rolloutId, 'pause', { filter });
    expect(await auditOf(rolloutId)).toHaveLength(3);
  });
});

describe('a dry run', () => {
  test.each(['pause', 'cancel', 'resume', 'retry'])(
    'of %s answers the same counts and changes nothing',
    async (action) => {
      const { rolloutId, jobIds } = await planned({ tenants: 2, adapters: 6 });
      await fail(jobIds.slice(0, 2), 'out_of_memory');
      await ask(rolloutId, 'pause', { filter: { adapters: [await adapterOf(jobIds[2]!)] } });
      const before = await everything(rolloutId);
      const dry = await ask(rolloutId, action, { dry_run: true });
      expect(await everything(rolloutId)).toEqual(before);
      expect(dry).toMatchObject({ dry_run: true });
      expect(dry.changed).toBeGreaterThan(0);
      expect(await ask(rolloutId, action)).toEqual({ ...dry, dry_run: false });
      expect(await everything(rolloutId)).not.toEqual(before);
    },
  );
});

describe('pausing and resuming', () => {
  test('take jobs out of the queue and put them back, and doing so again changes nothing', async () => {
    const queued = await queue.producer.count('adaptations');
    const { rolloutId, jobIds } = await planned({ tenants: 2, adapters: 5 });
    expect(await ask(rolloutId, 'pause')).toEqual(answerOf({ matched: 5, changed: 5 }));
    expect(await inState(rolloutId, 'paused')).toEqual(jobIds);
    expect(await queue.producer.count('adaptations')).toBe(queued);
    const before = await everything(rolloutId);
    expect(await ask(rolloutId, 'pause')).toEqual(answerOf({ matched: 0, changed: 0 }));
    expect(await everything(rolloutId)).toEqual(before);
    expect(await ask(rolloutId, 'resume')).toEqual(answerOf({ matched: 5, changed: 5 }));
    expect(await inState(rolloutId, 'queued')).toEqual(jobIds);
    expect(await queue.producer.count('adaptations')).toBe(queued + 5);
    expect(await ask(rolloutId, 'resume')).toEqual(answerOf({ matched: 0, changed: 0 }));
    expect(await eventsOf(rolloutId, 'job.paused')).toBe(5);
  });

  test('keep to the rollout: its jobs stay paused, and none is resumed before it', async () => {
    const { rolloutId, jobIds } = await planned({ tenants: 1, adapters: 4 });
    const rollouts = createRolloutService({ db, producer: queue.producer });
    await rollouts.pause(rolloutId);
    const filter = { adapters: [await adapterOf(jobIds[0]!)] };
    expect(await ask(rolloutId, 'pause', { filter })).toEqual(answerOf({ matched: 1, changed: 1 }));
    expect(await ask(rolloutId, 'resume')).toEqual(
      answerOf({ matched: 4, changed: 0, left: [{ code: 'rollout_paused', jobs: 4 }] }),
    );
    await rollouts.resume(rolloutId);
    expect(await inState(rolloutId, 'paused')).toEqual(jobIds.slice(0, 1));
  });

  test('leave jobs that are ready and only refined', async () => {
    const { rolloutId, jobIds } = await planned({ tenants: 1, adapters: 3 });
    await db.job.update({ where: { id: jobIds[0]! }, data: { state: 'ready' } });
    expect(await ask(rolloutId, 'pause')).toEqual(
      answerOf({ matched: 3, changed: 2, left: [{ code: 'job_ready', jobs: 1 }] }),
    );
    // Cancelling a ready job ends its refinement.
    expect(await ask(rolloutId, 'cancel')).toEqual(answerOf({ matched: 3, changed: 3 }));
    expect(await inState(rolloutId, 'cancelled')).toEqual(jobIds.slice(1));
    expect(await db.rollout.findUniqueOrThrow({ where: { id: rolloutId } })).toMatchObject({ state: 'completed' });
  });
});

describe('retrying', () => {
  test('begins what has failed with an error anew with other options, and nothing else', async () => {
    const { rolloutId, jobIds } = await planned({ tenants: 2, adapters: 6 });
    await fail(jobIds.slice(0, 3), 'gate_not_reached');
    await fail(jobIds.slice(3), 'out_of_memory');
    await db.rollout.update({ where: { id: rolloutId }, data: { state: 'completed', finishedAt: new Date() } });
    const options = { strategy: 'warm-start', max_steps: 50 };
    const filter = { states: ['failed'], error_codes: ['gate_not_reached'] };
    expect(await ask(rolloutId, 'retry', { filter, options })).toEqual(answerOf({ matched: 3, changed: 3 }));
    expect(await inState(rolloutId, 'failed')).toEqual(jobIds.slice(3));
    const retried = await db.job.findMany({ where: { rolloutId, state: 'queued' }, orderBy: { id: 'asc' } });
    expect(retried.map(({ id }) => id)).toEqual(jobIds.slice(0, 3));
    for (const job of retried)
      expect(job).toMatchObject({ ownOptions: options, strategy: 'warm-start', error: null, finishedAt: null });
    expect(new Set(retried.map(({ startTag }) => startTag)).size).toBeGreaterThan(1);
    expect(await db.rollout.findUniqueOrThrow({ where: { id: rolloutId } })).toMatchObject({ state: 'adapting' });
    expect(await db.event.count({ where: { subjectId: rolloutId, type: 'rollout.adapting' } })).toBe(2);
    // The retried jobs have not ended now.
    expect(await ask(rolloutId, 'retry', { filter, options })).toEqual(answerOf({ matched: 0, changed: 0 }));
  });

  test('counts by code what cannot be retried, also beyond the quotas of each tenant', async () => {
    const { fleet, rolloutId, jobIds } = await planned({ tenants: 2, adapters: 10 });
    await fail(jobIds, 'out_of_memory');
    const jobs = await db.job.findMany({ where: { rolloutId }, orderBy: { id: 'asc' } });
    const [first, second] = fleet.tenants as [string, string];
    const ofFirst = jobs.filter((job) => job.tenantId === first);
    await db.adapterVersion.updateMany({
      where: { id: ofFirst[0]!.sourceVersionId! },
      data: { deletedAt: new Date() },
    });
    const pinned = { pinnedBaseModelVersionId: fleet.oldVersionId };
    await db.adapter.update({ where: { id: ofFirst[1]!.adapterId }, data: pinned });
    await db.tenant.update({ where: { id: second }, data: { quotas: { queued_jobs: 2 } } });
    const left = [
      { code: 'adapter_pinned', jobs: 1 },
      { code: 'quota_exceeded', jobs: 3 },
      { code: 'source_deleted', jobs: 1 },
    ];
    // The quota also applies across the pages of a dry run, in which no job takes a slot.
    for (const dry of [true, false]) {
      const answer = await service({ pageSize: 3 }).change(rolloutId, 'retry', { dry_run: dry, ...OPERATOR });
      expect(answer).toEqual(answerOf({ dry_run: dry, matched: 10, changed: 5, left }));
    }
    expect(await inState(rolloutId, 'queued')).toHaveLength(5);
  });

  const RETRY_REFUSED =
    'is refused for a tenant that asks for more than the rollout does, and where the rollout has stopped';
  test(RETRY_REFUSED, async () => {
    const { fleet, rolloutId, jobIds } = await planned({ tenants: 1, adapters: 2 });
    await fail(jobIds, 'out_of_memory');
    const refused = (code: string) => answerOf({ matched: 2, changed: 0, left: [{ code, jobs: 2 }] });
    const key = await tenantKey(fleet.tenants[0]!);
    expect(await ask(rolloutId, 'retry', { options: { max_steps: 101 } }, key)).toEqual(refused('invalid_options'));
    await db.rollout.update({ where: { id: rolloutId }, data: { state: 'cancelled' } });
    expect(await ask(rolloutId, 'retry')).toEqual(refused('rollout_ended'));
    await db.rollout.update({ where: { id: rolloutId }, data: { state: 'completed', finishedAt: new Date() } });
    const { rollout: next } = await withTransaction(db, (tx) =>
      createRollout(tx, { baseModelVersionId: fleet.newVersionId, options: {} }),
    );
    expect(await ask(rolloutId, 'retry')).toEqual(refused('rollout_exists'));
    await createRolloutService({ db, producer: queue.producer }).cancel(next.id);
  });
});

describe('a large fleet', () => {
  test('is changed in steps that others see', async () => {
    const { rolloutId, jobIds } = await planned({ tenants: 2, adapters: 25 });
    const seen: number[] = [];
    const remove: TestQueue['producer']['remove'] = async (...jobs) => {
      seen.push(await db.job.count({ where: { rolloutId, state: 'paused' } }));
      await queue.producer.remove(...jobs);
    };
    const paged = service({ producer: { ...queue.producer, remove }, pageSize: 10 });
    expect(await paged.change(rolloutId, 'pause', OPERATOR)).toEqual(answerOf({ matched: 25, changed: 25 }));
    expect(seen).toEqual([10, 20, 25]);
    expect(await ask(rolloutId, 'cancel')).toEqual(answerOf({ matched: 25, changed: 25 }));
    expect(await eventsOf(rolloutId, 'job.cancelled')).toBe(25);
    expect(await ask(rolloutId, 'retry')).toEqual(answerOf({ matched: 25, changed: 25 }));
    expect(await inState(rolloutId, 'queued')).toEqual(jobIds);
  });

  test('is gone on with where a request has ended before the last job', async () => {
    const { fleet, rolloutId, jobIds } = await planned({ tenants: 2, adapters: 11 });
    const bounded = service({ pageSize: 3, pages: 2 });
    const recorded: (string | null)[] = [];
    const recordChange: RecordChange = (_tx, { tenantId }) => Promise.resolve(void recorded.push(tenantId));
    const pause = (cursor?: string) =>
      bounded.change(rolloutId, 'pause', { ...(cursor !== undefined && { cursor }), scope: null, recordChange });
    const first = await pause();
    // One audit entry covers both of its pages.
    expect(recorded.sort()).toEqual([null, ...fleet.tenants].sort());
    expect(first).toMatchObject({ matched: 6, changed: 6, next_cursor: expect.any(String) });
    expect(await inState(rolloutId, 'paused')).toEqual(jobIds.slice(0, 6));
    expect(await pause(first.next_cursor!)).toEqual(answerOf({ matched: 5, changed: 5 }));
    await expect(pause('?')).rejects.toMatchObject({ code: 'invalid_cursor', status: 400 });
  });

  test('is changed to its end when an interrupted request is sent again', async () => {
    const { rolloutId, jobIds } = await planned({ tenants: 2, adapters: 10 });
    // Imitates a process that dies after the first page.
    const remove = () => Promise.reject(new Error('the process died'));
    const dying = service({ pageSize: 4, producer: { ...queue.producer, remove } });
    await expect(dying.change(rolloutId, 'cancel', OPERATOR)).rejects.toThrow('died');
    expect(await inState(rolloutId, 'cancelled')).toEqual(jobIds.slice(0, 4));
    expect(await service({ pageSize: 4 }).change(rolloutId, 'cancel', OPERATOR)).toEqual(
      answerOf({ matched: 6, changed: 6 }),
    );
    expect(await inState(rolloutId, 'cancelled')).toEqual(jobIds);
    expect(await eventsOf(rolloutId, 'job.cancelled')).toBe(10);
    expect(await db.rollout.findUniqueOrThrow({ where: { id: rolloutId } })).toMatchObject({ state: 'completed' });
  });

  test('is put into the queue by the sweeper where the process has died before it did', async () => {
    const { rolloutId, jobIds } = await planned({ tenants: 1, adapters: 3 });
    await ask(rolloutId, 'pause');
    const queued = await queue.producer.count('adaptations');
    const enqueueAfterCommit = () => Promise.reject(new Error('the process died'));
    const dying = service({ producer: { ...queue.producer, enqueueAfterCommit } });
    await expect(dying.change(rolloutId, 'resume', OPERATOR)).rejects.toThrow('died');
    expect(await inState(rolloutId, 'queued')).toEqual(jobIds);
    await createSweeper({ db, producer: queue.producer, sources: [], logger, graceMs: 0 }).sweep();
    expect(await queue.producer.count('adaptations')).toBe(queued + 3);
  });

  test('is changed once by two requests at a time', async () => {
    const { rolloutId, jobIds } = await planned({ tenants: 2, adapters: 12 });
    await fail(jobIds, 'out_of_memory');
    const retries = [1, 2].map(() => service({ pageSize: 4 }).change(rolloutId, 'retry', OPERATOR));
    const answers = await Promise.all(retries);
    expect(answers[0]!.changed + answers[1]!.changed).toBe(12);
    expect(await eventsOf(rolloutId, 'job.queued')).toBe(24);
  });
});

const OPERATOR = { scope: null, recordChange: unrecorded };

function service(options: Partial<Parameters<typeof createJobsByFilter>[0]>) {
  return createJobsByFilter({ db, producer: queue.producer, quotas: NO_QUOTAS, ...options });
}

async function adapterOf(jobId: string): Promise<string> {
  return (await db.job.findUniqueOrThrow({ where: { id: jobId } })).adapterId;
}

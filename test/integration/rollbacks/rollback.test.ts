import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createSweeper } from '../../../src/platform/queue/index.ts';
import { withTransaction, type Database } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { insertAdapterVersion } from '../../../src/fleet/adapters/adapter.repository.ts';
import { createRollbackService, rollbackRecoverySource } from '../../../src/fleet/rollbacks/index.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { logger } from '../queue/test-queue.ts';
import { bearer, createTestApp, createTestKey, createTestTenant, type TestApp } from '../support/index.ts';

const ADAPTERS = 8;

let app: TestApp;
let db: Database;
let fleet: Fleet;
let rolloutId: string;

beforeAll(async () => {
  app = await createTestApp();
  ({ db } = app);
});
afterAll(() => app.close());
beforeEach(async () => {
  fleet = await createFleet(db, { tenants: 2, adapters: ADAPTERS });
  rolloutId = await addRollout();
});
afterEach(() => fleet.remove());

async function addRollout(): Promise<string> {
  const data = { id: newId('rollout'), baseModelVersionId: fleet.newVersionId, options: {} };
  await db.rollout.create({ data: { ...data, state: 'completed', finishedAt: new Date() } });
  return data.id;
}

/**
 * Publishes a version on the new base, by an import or by a job that carries the last version over.
 * @returns its identifier
 */
async function publish(adapterId: string, rollout: string | null): Promise<string> {
  const source = await db.adapterVersion.findFirstOrThrow({ where: { adapterId }, orderBy: { number: 'desc' } });
  const { tenantId, artifactDigest, rank, loraAlpha } = source;
  const row = { tenantId, adapterId, baseModelVersionId: fleet.newVersionId, artifactDigest, rank, loraAlpha };
  const adapted = rollout === null ? null : { parentVersionId: source.id, jobId: await jobOf(source, rollout) };
  const origin = adapted === null ? 'imported' : 'adapted';
  const id = newId('adapterVersion');
  await withTransaction(db, (tx) => insertAdapterVersion(tx, { id, ...row, origin, ...adapted }));
  return id;
}

async function jobOf(source: { id: string; tenantId: string; adapterId: string }, rollout: string): Promise<string> {
  const { id: sourceVersionId, tenantId, adapterId } = source;
  const found = await db.job.findFirst({ where: { rolloutId: rollout, adapterId } });
  if (found !== null) return found.id;
  const row = { tenantId, adapterId, rolloutId: rollout, sourceVersionId, strategy: 'auto', metricName: 'accuracy' };
  const data = { id: newId('job'), ...row, state: 'ready', finishedAt: new Date() } as const;
  return (await db.job.create({ data })).id;
}

async function current(adapterId: string): Promise<string | null> {
  const key = { adapterId, baseModelVersionId: fleet.newVersionId };
  const row = await db.currentVersion.findUnique({ where: { adapterId_baseModelVersionId: key } });
  return row?.adapterVersionId ?? null;
}

const rollBack = async (id = rolloutId) => {
  const answer = await app.request({ method: 'POST', url: `/v1/rollouts/${id}/rollback` });
  return { status: answer.statusCode, body: answer.json() };
};

/** Events of the rollback's moves. */
const movesBack = () =>
  db.event.findMany({ where: { type: 'adapter.current_moved', data: { path: ['rollout_id'], equals: rolloutId } } });

const ROLLBACK_RESTORES =
  'what was current before the rollout is current again, or none, and what others have made current stays';
test(ROLLBACK_RESTORES, async () => {
  const [alone, replacing, moved, imported, refined, deleted, twice, missed] = fleet.adapters;
  const before = await publish(replacing!, null);
  const gone = await publish(deleted!, null);
  for (const id of [alone, replacing, moved, imported, refined, refined, deleted, twice]) await publish(id!, rolloutId);
  await db.$executeRaw`UPDATE adapter_versions SET deleted_at = now() WHERE id = ${gone}`;
  const url = `/v1/adapters/${moved}/current/${fleet.newVersionId}`;
  const payload = { version_id: null, expected_version_id: await current(moved!) };
  expect((await app.request({ method: 'PUT', url, payload })).statusCode).toBe(200);
  const newer = await publish(imported!, null);
  const again = await publish(twice!, await addRollout());
  for (const id of [replacing, deleted]) expect(await current(id!)).not.toBeOneOf([before, gone]);

  const { status, body } = await rollBack();
  expect([status, body]).toMatchObject([200, { rollout_id: rolloutId, rolled_back: 4, left_alone: 3 }]);
  expect(body.finished_at).not.toBeNull();
  expect(await current(alone!)).toBeNull();
  expect(await current(replacing!)).toBe(before);
  expect(await current(moved!)).toBeNull();
  expect(await current(imported!)).toBe(newer);
  expect(await current(refined!)).toBeNull();
  expect(await current(deleted!)).toBeNull();
  expect(await current(twice!)).toBe(again);
  expect(await current(missed!)).toBeNull();

  const events = await movesBack();
  expect(events.map(({ subjectId }) => subjectId).sort()).toEqual([alone, replacing, refined, deleted].sort());
  for (const { subjectId, tenantId, data } of events) {
    expect(tenantId).toBe((await db.adapter.findUniqueOrThrow({ where: { id: subjectId } })).tenantId);
    expect(data).toMatchObject({ to: subjectId === replacing ? before : null, from: expect.stringMatching(/^adv_/) });
  }
});

test('asking again changes nothing, unless something of the rollout is current again', async () => {
  const [adapterId, other] = fleet.adapters as [string, string];
  const published = await publish(adapterId, rolloutId);
  await publish(other, rolloutId);
  const first = await rollBack();
  expect(first).toMatchObject({ status: 200, body: { rolled_back: 2, left_alone: 0 } });
  expect(await rollBack()).toEqual(first);
  expect((await app.request({ url: `/v1/rollouts/${rolloutId}/rollback` })).json()).toEqual(first.body);
  const ended = [
    ['rollout.rolling_back', {}],
    ['rollout.rolled_back', { rolled_back: 2, left_alone: 0 }],
  ];
  const events = async () =>
    (await db.event.findMany({ where: { subjectId: rolloutId, isCopy: false }, orderBy: { seq: 'asc' } })).map(
      ({ type, data }) => [type, data],
    );
  expect(await events()).toEqual(ended);
  expect(await db.auditEntry.count({ where: { operation: 'rollBackRollout', subjectId: rolloutId } })).toBe(1);

  const url = `/v1/adapters/${adapterId}/current/${fleet.newVersionId}`;
  await app.request({ method: 'PUT', url, payload: { version_id: published, expected_version_id: null } });
  // A later publication by its retried job is a new choice of the person.
  await publish(adapterId, rolloutId);
  expect(await rollBack()).toMatchObject({ status: 200, body: { rolled_back: 1, left_alone: 1 } });
  expect(await current(adapterId)).toBeNull();
  await publish(adapterId, rolloutId);
  expect(await current(adapterId)).toBeNull();
  expect(await events()).toHaveLength(4);
});

const ROLLBACK_IS_TOLD =
  'everybody who may read the rollout is told of its rollback, a tenant with the counts of its own adapters';
test(ROLLBACK_IS_TOLD, async () => {
  const [first, second, third, fourth] = fleet.adapters as [string, string, string, string];
  // Adapters belong to the two tenants alternately.
  for (const id of [first, second, third]) await publish(id, rolloutId);
  await publish(second, null);
  await publish(fourth, null);
  const bystander = await createTestTenant(db, `bystander-${rolloutId}`);
  const keys = [null, ...(await Promise.all(fleet.tenants.map((tenantId) => createTestKey(db, { tenantId }))))];
  const readers = [...keys, bystander.key].map((key) => (url: string, etag?: string) => {
    const headers = { ...(key !== null && bearer(key)), ...(etag !== undefined && { 'if-none-match': etag }) };
    return app.request({ url, headers, ...(key !== null && { key: null }) });
  });
  const urls = [`/v1/rollouts/${rolloutId}`, '/v1/rollouts?limit=1'];
  const seen = await Promise.all(
    readers.flatMap((read) => urls.map(async (url) => ({ url, read, was: await read(url) }))),
  );
  for (const read of readers) expect((await read(`/v1/rollouts/${rolloutId}/rollback`)).statusCode).toBe(404);

  const { body } = await rollBack();
  expect(body).toMatchObject({ rolled_back: 2, left_alone: 1 });
  for (const { url, read, was } of seen) {
    const rolloutOf = (answer: typeof was) => answer.json().data?.[0] ?? answer.json();
    expect(rolloutOf(was)).toMatchObject({ id: rolloutId, rolled_back_at: null });
    const answer = await read(url, String(was.headers.etag));
    expect([answer.statusCode, rolloutOf(answer)]).toMatchObject([200, { rolled_back_at: body.finished_at }]);
    expect((await read(url, String(answer.headers.etag))).statusCode).toBe(304);
  }
  const told = await Promise.all(
    readers.map(async (read) => (await read(`/v1/rollouts/${rolloutId}/rollback`)).json()),
  );
  const times = { rollout_id: rolloutId, requested_at: body.requested_at, finished_at: body.finished_at };
  expect(told).toEqual([
    body,
    { ...times, rolled_back: 2, left_alone: 0 },
    { ...times, rolled_back: 0, left_alone: 1 },
    { ...times, rolled_back: 0, left_alone: 0 },
  ]);

  await publish(first, rolloutId);
  await db.$executeRaw`UPDATE current_versions SET adapter_version_id = previous_version_id
    WHERE adapter_id = ${first}`;
  expect((await rollBack()).body).toMatchObject({ rolled_back: 1, left_alone: 2 });
  expect((await readers[1]!(`/v1/rollouts/${rolloutId}/rollback`)).json()).toMatchObject({
    rolled_back: 1,
    left_alone: 1,
  });
});

test('a rollout that may still publish is not rolled back, nor one that does not exist', async () => {
  expect(await rollBack(newId('rollout'))).toMatchObject({ status: 404 });
  expect((await app.request({ url: `/v1/rollouts/${rolloutId}/rollback` })).statusCode).toBe(404);
  for (const state of ['analyzing', 'adapting', 'cancelled', 'failed'] as const) {
    await db.rollout.update({ where: { id: rolloutId }, data: { state, finishedAt: null } });
    expect(await rollBack()).toMatchObject({ status: 409, body: { code: 'rollout_not_ended' } });
  }
  await db.rollout.update({ where: { id: rolloutId }, data: { state: 'cancelled', finishedAt: new Date() } });
  expect(await rollBack()).toMatchObject({ status: 200, body: { rolled_back: 0, left_alone: 0 } });
});

test('where the process dies in the middle, another one goes on, and each adapter is moved once', async () => {
  for (const id of fleet.adapters) await publish(id, rolloutId);
  // The first transaction records the request; each later one moves three adapters.
  await expect(createRollbackService({ db: dyingAfter(2), batch: 3 }).rollBack(rolloutId)).rejects.toThrow('died');
  const half = await createRollbackService({ db }).get(rolloutId);
  expect(half).toMatchObject({ rolled_back: 3, left_alone: 0, finished_at: null });
  expect((await app.request({ url: `/v1/rollouts/${rolloutId}` })).json()).toMatchObject({ rolled_back_at: null });
  const left = [...fleet.adapters].sort().slice(3);
  await publish(left[0]!, await addRollout());
  const sources = [rollbackRecoverySource({ db, batch: 3 })];
  await createSweeper({ db, producer: app.deps.producer, sources, logger }).sweep();
  const whole = await createRollbackService({ db }).get(rolloutId);
  expect(whole).toMatchObject({ rolled_back: ADAPTERS - 1, left_alone: 1, finished_at: expect.any(String) });
  expect(await movesBack()).toHaveLength(ADAPTERS - 1);
});

test('two callers at the same moment share the work', async () => {
  for (const id of fleet.adapters) await publish(id, rolloutId);
  const services = [1, 2].map(() => createRollbackService({ db, batch: 2 }));
  const answers = await Promise.all(services.map((service) => service.rollBack(rolloutId)));
  for (const answer of answers) expect(answer).toMatchObject({ rolled_back: ADAPTERS, left_alone: 0 });
  expect(answers[0]!.finished_at).not.toBeNull();
  expect(await movesBack()).toHaveLength(ADAPTERS);
  expect(await db.event.count({ where: { subjectId: rolloutId, type: 'rollout.rolled_back' } })).toBe(1);
});

/** Database whose transactions fail after the given number, as if the process had died. */
function dyingAfter(transactions: number): Database {
  let left = transactions;
  return new Proxy(db, {
    get(target, property) {
      if (property !== '$transaction') return Reflect.get(target, property) as unknown;
      return left-- > 0 ? target.$transaction.bind(target) : () => Promise.reject(new Error('the process died'));
    },
  });
}

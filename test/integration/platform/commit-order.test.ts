import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { withTransaction, type Transaction } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { recordEvent } from '../../../src/delivery/events/index.ts';
import { createRollout, createRolloutLifecycle, type StoredOptions } from '../../../src/fleet/rollouts/index.ts';
import { leftOpen } from '../events/support.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { planEntries } from '../queue/plan-entries.ts';
import { eventually } from '../../eventually.ts';
import { createTestApp, createTestDatabase, createTestKey, unknownEvent, type TestApp } from '../support/index.ts';

let app: TestApp;
let fleet: Fleet;

beforeAll(async () => {
  app = await createTestApp();
});
afterAll(() => app.close());
beforeEach(async () => {
  fleet = await createFleet(app.db, { tenants: 2, adapters: 4 });
});
afterEach(() => fleet.remove());

const get = async (url: string, key?: string) => {
  const response = await app.request({ method: 'GET', url, ...(key === undefined ? {} : { key }) });
  return { status: response.statusCode, body: response.json() };
};

/** Runs some work in a transaction and leaves it open. @returns a function that commits it */
const opened = (work: (tx: Transaction) => Promise<unknown>, db = app.db): Promise<() => Promise<void>> =>
  leftOpen(db, work);

interface Cursor {
  readonly url: string;
  readonly parameter: 'after' | 'changed_after';
  position: string;
  /** Identifiers read so far. */
  readonly ids: string[];
}

const cursorAt = (url: string, parameter: Cursor['parameter'], position = '0'): Cursor => {
  return { url, parameter, position, ids: [] };
};

/** Reads all available pages. */
async function read(cursor: Cursor, key?: string): Promise<void> {
  for (;;) {
    const { body } = await get(`${cursor.url}&${cursor.parameter}=${cursor.position}`, key);
    const ids = (body.data as { id: string }[]).map(({ id }) => id);
    if (ids.length === 0) return;
    cursor.ids.push(...ids);
    cursor.position = body[`next_${cursor.parameter}`] as string;
  }
}

/** Reads until there are `count` identifiers. */
async function readUntil(count: number, cursor: Cursor, key?: string): Promise<string[]> {
  await eventually(`${count} entries`, async () => (await read(cursor, key), cursor.ids.length >= count));
  return cursor.ids;
}

const event = (subjectId: string) => unknownEvent({ tenantId: null, subjectId });
const jobsOf = async (): Promise<{ rolloutId: string; jobIds: string[] }> => {
  const baseModelVersionId = fleet.newVersionId;
  const { rollout } = await withTransaction(app.db, (tx) => createRollout(tx, { baseModelVersionId, options: {} }));
  const lifecycle = createRolloutLifecycle({ db: app.db });
  const { options } = (await lifecycle.beginAnalysis(rollout.id))!;
  const request = { id: rollout.id, baseModelVersionId, options: options as StoredOptions };
  const entries = (await planEntries(lifecycle, request))!;
  return { rolloutId: rollout.id, jobIds: entries.map(({ id }) => id) };
};

test('an event that is committed after a later one is read after it', async () => {
  const subject = newId('job');
  const cursor = cursorAt(`/v1/events?subject_id=${subject}`, 'after');
  const commit = await opened((tx) => recordEvent(tx, event(subject)));
  await withTransaction(app.db, (tx) => recordEvent(tx, event(subject)));
  await read(cursor);
  await commit();
  const all = await app.db.event.findMany({ where: { subjectId: subject } });
  expect([...(await readUntil(2, cursor))].sort()).toEqual(all.map(({ id }) => id).sort());
});

test('an open transaction of another database holds nobody up', async () => {
  const other = await createTestDatabase();
  const subject = newId('job');
  const commit = await opened((tx) => recordEvent(tx, event(subject)), other.db);
  await withTransaction(app.db, (tx) => recordEvent(tx, event(subject)));
  expect(await readUntil(1, cursorAt(`/v1/events?subject_id=${subject}`, 'after'))).toHaveLength(1);
  await commit();
  await other.close();
});

test('many writers and a reader: each event is read once', async () => {
  const subject = newId('job');
  const cursor = cursorAt(`/v1/events?subject_id=${subject}&limit=7`, 'after');
  const writers = Array.from({ length: 6 }, async (_, writer) => {
    for (let round = 0; round < 12; round++) {
      await withTransaction(app.db, async (tx) => {
        await recordEvent(tx, event(subject));
        await new Promise((resolve) => setTimeout(resolve, (writer * 7 + round * 3) % 20));
        await recordEvent(tx, event(subject));
      });
    }
  });
  let writing = true;
  const all = Promise.all(writers).finally(() => (writing = false));
  while (writing) await read(cursor);
  await all;
  const ids = await readUntil(6 * 12 * 2, cursor);
  expect(ids).toHaveLength(6 * 12 * 2);
  expect(new Set(ids).size).toBe(ids.length);
});

test('a job whose change is committed after a later one is read after it', async () => {
  const { rolloutId, jobIds } = await jobsOf();
  const [late, early] = jobIds as [string, string];
  const url = `/v1/jobs?rollout_id=${rolloutId}&limit=2`;
  const start = cursorAt(url, 'changed_after');
  expect([...(await readUntil(4, start))].sort()).toEqual([...jobIds].sort());
  const cursor = cursorAt(url, 'changed_after', start.position);
  const commit = await opened((tx) => tx.job.update({ where: { id: late }, data: { step: 1 } }));
  await app.db.job.update({ where: { id: early }, data: { step: 1 } });
  await read(cursor);
  await commit();
  expect([...(await readUntil(2, cursor))].sort()).toEqual([late, early].sort());
});

test('one cursor serves events and jobs, and a tenant sees its own', async () => {
  const key = await createTestKey(app.db, { tenantId: fleet.tenants[0]! });
  const { rolloutId, jobIds } = await jobsOf();
  const mine = (await app.db.job.findMany({ where: { rolloutId, tenantId: fleet.tenants[0]! } })).map(({ id }) => id);
  const url = `/v1/jobs?rollout_id=${rolloutId}`;
  const start = cursorAt(url, 'changed_after');
  await readUntil(4, start);
  const subject = newId('job');
  await withTransaction(app.db, (tx) => recordEvent(tx, event(subject)));
  const events = cursorAt(`/v1/events?subject_id=${subject}`, 'after', start.position);
  expect(await readUntil(1, events)).toHaveLength(1);
  for (const id of jobIds) await app.db.job.update({ where: { id }, data: { step: 2 } });
  const changed = cursorAt(url, 'changed_after', events.position);
  expect([...(await readUntil(mine.length, changed, key))].sort()).toEqual([...mine].sort());
});

test('0 is the first position, and one that the database has not reached is refused', async () => {
  expect((await get('/v1/events?after=0&limit=1')).body.data).toHaveLength(1);
  for (const url of ['/v1/events?after=900000000000-1', '/v1/jobs?changed_after=900000000000-1']) {
    expect(await get(url)).toMatchObject({ status: 400, body: { code: 'invalid_cursor' } });
  }
  for (const after of ['x', '99999']) {
    const answer = await get(`/v1/events?after=${after}`);
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
  }
  expect(await get('/v1/jobs?changed_after=0&cursor=am9i')).toMatchObject({
    status: 400,
    body: { code: 'invalid_cursor' },
  });
});

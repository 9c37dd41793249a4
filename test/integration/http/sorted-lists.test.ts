import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newId } from '../../../src/platform/contract/ids.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestApp, createTestKey, type TestApp } from '../support/index.ts';

let app: TestApp;
let fleet: Fleet;
let rolloutId: string;
let key: string;

/** End times: several within one millisecond and equal, and two jobs without an end. */
const ENDS = ['.000001', '.000002', '.000002', '.000900', '.500000', null, null];
const TIMES = [0.1 + 0.2, 30, 30, 1e-7, 12.5, 7, null];

interface Owner {
  readonly tenantId: string;
  readonly rolloutId: string;
  readonly adapterId: string;
}

beforeAll(async () => {
  app = await createTestApp();
  fleet = await createFleet(app.db, { tenants: 2, adapters: ENDS.length });
  key = await createTestKey(app.db, { tenantId: fleet.tenants[0]! });
  rolloutId = newId('rollout');
  const other = newId('rollout');
  for (const id of [rolloutId, other]) {
    const data = { id, baseModelVersionId: fleet.newVersionId, state: 'adapting', options: {} } as const;
    await app.db.rollout.create({ data });
  }
  for (const [index, adapterId] of fleet.adapters.entries()) {
    const { tenantId } = await app.db.adapter.update({
      where: { id: adapterId },
      data: { name: ['delta', 'alpha', 'echo', 'Bravo', 'charlie', 'alpha-2', 'foxtrot'][index]! },
    });
    await insert({ tenantId, rolloutId, adapterId }, ENDS[index]!, TIMES[index]!);
    const last = ENDS.length - 1 - index;
    await insert({ tenantId, rolloutId: other, adapterId }, ENDS[last]!, TIMES[last]!);
  }
});

async function insert(of: Owner, end: string | null, ttrMs: number | null): Promise<void> {
  const job = { ...of, id: newId('job'), strategy: 'auto', metricName: 'loss', ttrMs };
  await app.db.job.create({ data: { ...job, state: end === null ? 'queued' : 'ready' } });
  if (end === null) return;
  await app.db.$executeRaw`
    UPDATE jobs SET finished_at = ${`2026-11-27 10:00:00${end}+00`}::timestamptz WHERE id = ${job.id}`;
}

afterAll(async () => {
  await fleet.remove();
  await app.close();
});

type Row = Record<string, unknown> & { id: string };

const get = async (url: string, as?: string) => {
  const answer = await app.request({ url, ...(as === undefined ? {} : { key: as }) });
  return { status: answer.statusCode, body: answer.json() };
};

/** All rows of a list, read in pages of the given size. */
async function all(url: string, limit: number, as?: string): Promise<Row[]> {
  const rows: Row[] = [];
  for (let cursor = ''; ;) {
    const { status, body } = await get(`${url}&limit=${limit}${cursor}`, as);
    expect(status, JSON.stringify(body)).toBe(200);
    rows.push(...body.data);
    if (body.next_cursor === null) return rows;
    cursor = `&cursor=${body.next_cursor}`;
  }
}

const inDatabase = async (orderBy: string, table: string, where = 'TRUE') =>
  (await app.db.$queryRawUnsafe<{ id: string }[]>(`SELECT id FROM ${table} WHERE ${where} ORDER BY ${orderBy}`)).map(
    ({ id }) => id,
  );

describe('a sorted list has each row once, in the order of the database, whatever the page', () => {
  const cases: [string, string, string, string?][] = [
    ['/v1/adapters?sort=name', 'adapters', 'name, id'],
    ['/v1/adapters?sort=-name', 'adapters', 'name DESC, id DESC'],
    ['/v1/adapters?sort=created', 'adapters', 'id'],
    ['/v1/adapters?sort=-created', 'adapters', 'id DESC'],
    ['/v1/adapters?sort=name&not_on=NEW', 'adapters', 'name, id'],
    ['/v1/rollouts?sort=accepted', 'rollouts', 'id'],
    ['/v1/jobs?sort=created', 'jobs', 'id'],
    ['/v1/jobs?sort=created&rollout_id=ROLLOUT', 'jobs', 'id'],
    ['/v1/jobs?sort=finished', 'jobs', 'finished_at, id', 'finished_at IS NOT NULL'],
    ['/v1/jobs?sort=-finished', 'jobs', 'finished_at DESC, id DESC', 'finished_at IS NOT NULL'],
    ['/v1/jobs?sort=ttr', 'jobs', 'ttr_ms, id', 'ttr_ms IS NOT NULL'],
    ['/v1/jobs?sort=-ttr', 'jobs', 'ttr_ms DESC, id DESC', 'ttr_ms IS NOT NULL'],
    ['/v1/jobs?sort=-ttr&state=ready&state=queued', 'jobs', 'ttr_ms DESC, id DESC', 'ttr_ms IS NOT NULL'],
    ['/v1/jobs?sort=finished&rollout_id=ROLLOUT', 'jobs', 'finished_at, id', 'finished_at IS NOT NULL'],
    ['/v1/jobs?sort=-finished&rollout_id=ROLLOUT', 'jobs', 'finished_at DESC, id DESC', 'finished_at IS NOT NULL'],
    ['/v1/jobs?sort=ttr&rollout_id=ROLLOUT', 'jobs', 'ttr_ms, id', 'ttr_ms IS NOT NULL'],
    ['/v1/jobs?sort=-ttr&rollout_id=ROLLOUT', 'jobs', 'ttr_ms DESC, id DESC', 'ttr_ms IS NOT NULL'],
    [
      '/v1/jobs?sort=-ttr&rollout_id=ROLLOUT&state=ready&state=queued',
      'jobs',
      'ttr_ms DESC, id DESC',
      'ttr_ms IS NOT NULL',
    ],
  ];
  test.each(cases)('%s', async (url, table, orderBy, condition = 'TRUE') => {
    const asked = url.replace('ROLLOUT', rolloutId).replace('NEW', fleet.newVersionId);
    const where = url.includes('ROLLOUT') ? `${condition} AND rollout_id = '${rolloutId}'` : condition;
    const expected = await inDatabase(orderBy, table, where);
    for (const limit of [1, 2, 50]) expect((await all(asked, limit)).map(({ id }) => id)).toEqual(expected);
    if (table === 'rollouts') return;
    const own = await inDatabase(orderBy, table, `${where} AND tenant_id = '${fleet.tenants[0]}'`);
    for (const limit of [1, 50]) expect((await all(asked, limit, key)).map(({ id }) => id)).toEqual(own);
  });
});

test('a row that comes, goes or changes meanwhile moves no others', async () => {
  const first = (await get('/v1/adapters?sort=name&limit=3')).body;
  const before = await inDatabase('name, id', 'adapters');
  const after = first.data.at(-1).id as string;
  await app.db.adapter.update({ where: { id: first.data[0].id }, data: { name: 'zulu' } });
  await app.db.adapter.update({ where: { id: after }, data: { deletedAt: new Date() } });
  const rest = (await get(`/v1/adapters?sort=name&cursor=${first.next_cursor}`)).body.data.map(({ id }: Row) => id);
  expect(rest).toEqual([...before.slice(3), first.data[0].id]);
  await app.db.adapter.update({ where: { id: after }, data: { deletedAt: null } });
});

describe('what is refused', () => {
  const cursor = (...parts: unknown[]) => Buffer.from(JSON.stringify(parts)).toString('base64url');
  const someId = 'job_01900000-0000-7000-8000-000000000000';

  test.each([
    ['adapters?sort=size', 'invalid_request'],
    ['adapters?sort=--name', 'invalid_request'],
    ['jobs?sort=size', 'invalid_request'],
    ['jobs?sort=-created&changed_after=0', 'invalid_request'],
  ])('%s', async (url, code) => {
    expect(await get(`/v1/${url}`)).toMatchObject({ status: 400, body: { code, errors: [{ field: 'sort' }] } });
  });

  test.each<[string, string]>([
    ['of another order', cursor('-ttr', '1', someId)],
    ['of the usual order', Buffer.from(someId).toString('base64url')],
    ['with a number that is none', cursor('ttr', 'NaN', someId)],
    ['with a value that is no text', cursor('ttr', 1, someId)],
    ['with an identifier that is none', cursor('ttr', '1', "' OR TRUE")],
    ['that is no JSON', Buffer.from('[').toString('base64url')],
  ])('a cursor %s', async (_, given) => {
    const answer = await get(`/v1/jobs?sort=ttr&rollout_id=${rolloutId}&cursor=${given}`);
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_cursor' } });
  });

  test.each(['2026-02-31T00:00:00.000000Z', '2026-13-01T00:00:00.000000Z', 'now', '2026-11-27'])(
    'the time %s',
    async (time) => {
      const answer = await get(
        `/v1/jobs?sort=finished&rollout_id=${rolloutId}&cursor=${cursor('finished', time, someId)}`,
      );
      expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_cursor' } });
    },
  );

  test('the cursor of a sorted list in the usual one', async () => {
    const { next_cursor: next } = (await get('/v1/adapters?sort=name&limit=1')).body;
    expect(await get(`/v1/adapters?cursor=${next}`)).toMatchObject({ status: 400, body: { code: 'invalid_cursor' } });
  });
});

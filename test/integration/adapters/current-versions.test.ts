import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { collectionTask } from '../../../src/operations/housekeeping/collection/collection.ts';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { insertAdapterVersion } from '../../../src/fleet/adapters/adapter.repository.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestApp, createTestKey, type TestApp } from '../support/index.ts';

let app: TestApp;
let fleet: Fleet;
/** Both adapters of the tenant, and the first version of the first one, on the old base. */
let adapterId: string;
let otherAdapterId: string;
let first: string;
let tenantId: string;
let key: string;

beforeAll(async () => {
  app = await createTestApp();
});
afterAll(() => app.close());
beforeEach(async () => {
  fleet = await createFleet(app.db, { tenants: 1, adapters: 2 });
  [tenantId] = fleet.tenants as [string];
  [adapterId, otherAdapterId] = fleet.adapters as [string, string];
  ({ id: first } = await app.db.adapterVersion.findFirstOrThrow({ where: { adapterId } }));
  key = await createTestKey(app.db, { tenantId });
});
afterEach(() => fleet.remove());

interface Published {
  base?: string;
  /** Parent version; none for an import. */
  parent?: string;
  jobId?: string;
}

/** Publishes a version like an import or a worker. @returns its identifier */
async function publish({ base = fleet.oldVersionId, parent, jobId }: Published = {}): Promise<string> {
  const { artifactDigest } = await app.db.adapterVersion.findFirstOrThrow({ where: { adapterId } });
  const { id } = await withTransaction(app.db, (tx) =>
    insertAdapterVersion(tx, {
      id: newId('adapterVersion'),
      tenantId,
      adapterId,
      baseModelVersionId: base,
      ...(parent === undefined ? { origin: 'imported' } : { origin: 'adapted', parentVersionId: parent, jobId }),
      artifactDigest,
      rank: 4,
      loraAlpha: 8,
    }),
  );
  return id;
}

async function newJob(): Promise<string> {
  const rollout = await app.db.rollout.create({
    data: { id: newId('rollout'), baseModelVersionId: fleet.newVersionId, options: {} },
  });
  const ids = { id: newId('job'), tenantId, adapterId, rolloutId: rollout.id, sourceVersionId: first };
  return (await app.db.job.create({ data: { ...ids, strategy: 'auto', metricName: 'accuracy' } })).id;
}

const url = (base = fleet.oldVersionId) => `/v1/adapters/${adapterId}/current/${base}`;

async function send(method: 'GET' | 'PUT' | 'PATCH' | 'DELETE', path: string, payload?: object, as = key) {
  const answer = await app.request({ method, url: path, key: as, ...(payload === undefined ? {} : { payload }) });
  return { status: answer.statusCode, body: answer.body === '' ? null : answer.json() };
}
const get = async (base?: string) => (await send('GET', url(base))).body;
const put = (to: string | null, expected: string | null, { base, as }: { base?: string; as?: string } = {}) =>
  send('PUT', url(base), { version_id: to, expected_version_id: expected }, as);
const moves = async () =>
  (
    await app.db.event.findMany({
      where: { subjectId: adapterId, type: 'adapter.current_moved' },
      orderBy: { seq: 'asc' },
    })
  ).map(({ data }) => data as { from: string | null; to: string | null; base_model_version_id: string });

describe('a published version', () => {
  test('is what should be served on its base, in each answer, and an event says so', async () => {
    const second = await publish();
    const carried = await publish({ base: fleet.newVersionId, parent: second, jobId: await newJob() });
    expect(await get()).toMatchObject({
      adapter_id: adapterId,
      version_id: second,
      number: 2,
      previous_version_id: first,
    });
    const { current, latest_version } = (await send('GET', `/v1/adapters/${adapterId}`)).body;
    expect(current).toEqual([await get(fleet.newVersionId), await get()]);
    expect([current[0].version_id, latest_version.id]).toEqual([carried, carried]);
    expect(current[0].digest).toBe(latest_version.digest);
    const listed = (await send('GET', '/v1/adapters')).body.data;
    expect(listed.find(({ id }: { id: string }) => id === adapterId).current).toEqual(current);
    expect(await moves()).toEqual([
      { base_model_version_id: fleet.oldVersionId, from: first, to: second },
      { base_model_version_id: fleet.newVersionId, from: null, to: carried },
    ]);
  });

  test('that comes from an earlier version than another one on its base does not go above it', async () => {
    const second = await publish();
    const carried = await publish({ base: fleet.newVersionId, parent: second });
    await publish({ base: fleet.newVersionId, parent: first });
    expect(await get(fleet.newVersionId)).toMatchObject({ version_id: carried, number: 3 });
    expect(await moves()).toHaveLength(2);
    const imported = await publish({ base: fleet.newVersionId });
    await publish({ base: fleet.newVersionId, parent: second });
    expect(await get(fleet.newVersionId)).toMatchObject({ version_id: imported });
  });

  test('comes late to a base, after one to a newer base: it is current on its own', async () => {
    const third = newId('baseModelVersion');
    const { baseModelId, folder } = fleet;
    await app.db.baseModelVersion.create({
      data: { id: third, baseModelId, version: 'v3', path: folder, servingName: 'v3' },
    });
    const onThird = await publish({ base: third, parent: first });
    const late = await publish({ base: fleet.newVersionId, parent: first });
    expect(await get(fleet.newVersionId)).toMatchObject({ version_id: late });
    const { latest_version } = (await send('GET', `/v1/adapters/${adapterId}`)).body;
    expect(latest_version.id).toBe(onThird);
  });
});

describe('somebody', () => {
  test('moves it back, forward and to none, and what the next rollout carries over stays', async () => {
    const second = await publish();
    expect(await put(first, second)).toMatchObject({
      status: 200,
      body: { version_id: first, previous_version_id: second },
    });
    expect((await send('GET', `/v1/adapters/${adapterId}`)).body.latest_version.id).toBe(second);
    expect(await put(second, first, { as: app.operatorKey })).toMatchObject({
      status: 200,
      body: { version_id: second },
    });
    const none = { version_id: null, number: null, digest: null, previous_version_id: second };
    expect(await put(null, second)).toMatchObject({ status: 200, body: none });
    expect((await send('GET', `/v1/adapters/${adapterId}`)).body.current).toEqual([]);
    expect(await put(first, null)).toMatchObject({ status: 200, body: { version_id: first } });
    expect((await moves()).map(({ from, to }) => [from, to])).toEqual([
      [first, second],
      [second, first],
      [first, second],
      [second, null],
      [null, first],
    ]);
    expect(await app.db.job.count({ where: { adapterId } })).toBe(0);
  });

  test('who sends it again changes nothing, and who expects something else is told what is current', async () => {
    const second = await publish();
    for (let times = 0; times < 2; times++) expect(await put(first, second)).toMatchObject({ status: 200 });
    expect(await moves()).toHaveLength(2);
    expect(await app.db.auditEntry.count({ where: { subjectId: adapterId } })).toBe(1);
    const refused = { status: 409, body: { code: 'current_version_changed', current_version_id: first } };
    expect(await put(null, second)).toMatchObject(refused);
    expect(await put(second, null)).toMatchObject(refused);
    expect(await get()).toMatchObject({ version_id: first });
  });

  test('at the same moment as another: one of both succeeds', async () => {
    const second = await publish();
    const third = await publish();
    const answers = await Promise.all([put(first, third), put(second, third), put(null, third)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409]);
    const winner = answers.find(({ status }) => status === 200)!;
    expect(await get()).toMatchObject({ version_id: winner.body.version_id });
    for (const { body } of answers.filter(({ status }) => status === 409)) {
      expect(body.current_version_id).toBe(winner.body.version_id);
    }
    expect(await moves()).toHaveLength(3);
  });

  test('names what does not exist for this adapter, or another base', async () => {
    const foreign = await app.db.adapterVersion.findFirstOrThrow({ where: { adapterId: otherAdapterId } });
    const carried = await publish({ base: fleet.newVersionId, parent: first });
    const otherModel = await createFleet(app.db, { tenants: 1, adapters: 1 });
    expect(await put(foreign.id, first)).toMatchObject({ status: 404 });
    expect(await put(null, foreign.id)).toMatchObject({ status: 404 });
    expect(await put(carried, first)).toMatchObject({ status: 422, body: { code: 'version_of_another_base' } });
    for (const base of [otherModel.oldVersionId, newId('baseModelVersion')]) {
      expect(await put(null, null, { base })).toMatchObject({ status: 404 });
      expect(await send('GET', url(base))).toMatchObject({ status: 404 });
    }
    await otherModel.remove();
    expect(await get()).toMatchObject({ version_id: first });
  });

  const PUBLICATION_TAKEN_BACK =
    'takes back what a job has published: its next version does not come back, that of another job does';
  test(PUBLICATION_TAKEN_BACK, async () => {
    const [jobId, another] = [await newJob(), await newJob()];
    const base = fleet.newVersionId;
    const carried = await publish({ base, parent: first, jobId });
    expect(await put(null, carried, { base })).toMatchObject({ status: 200 });
    const refined = await publish({ base, parent: first, jobId });
    expect(await get(base)).toMatchObject({ version_id: null });
    expect(await put(refined, null, { base })).toMatchObject({ status: 200 });
    const again = await publish({ base, parent: first, jobId });
    expect(await get(base)).toMatchObject({ version_id: again, previous_version_id: null });
    await put(null, again, { base });
    const other = await publish({ base, parent: first, jobId: another });
    expect(await get(base)).toMatchObject({ version_id: other });
  });
});

describe('a version that is deleted', () => {
  const remove = (id: string) => send('DELETE', `/v1/adapters/${adapterId}/versions/${id}`);

  test('was not current, and does not become it', async () => {
    const carried = await publish({ base: fleet.newVersionId, parent: first });
    expect(await remove(first)).toMatchObject({
      status: 409,
      body: { code: 'current_version', base_model_version_id: fleet.oldVersionId },
    });
    await put(null, first);
    expect(await remove(first)).toMatchObject({ status: 204 });
    expect(await put(first, null)).toMatchObject({ status: 404 });
    expect(await get(fleet.newVersionId)).toMatchObject({ version_id: carried });
  });

  test('and made current at the same moment is either current or deleted', async () => {
    const second = await publish();
    const answers = await Promise.all([put(first, second), remove(first)]);
    expect([
      [200, 409],
      [404, 204],
    ]).toContainEqual(answers.map(({ status }) => status));
  });

  test('by a statement of its own is not current any more, and the collector removes none that is', async () => {
    await publish({ base: fleet.newVersionId, parent: first });
    await app.db.$executeRaw`UPDATE adapter_versions SET deleted_at = now() - interval '1 year' WHERE id = ${first}`;
    expect(await get()).toMatchObject({ version_id: null, previous_version_id: null });
    await app.db.currentVersion.updateMany({ where: { adapterId }, data: { adapterVersionId: first } });
    const { producer } = app.deps;
    const collect = () =>
      collectionTask({ db: app.db, producer, deletionGraceDays: 1 }).run(new AbortController().signal);
    expect(await collect()).toMatchObject({ versions: 0 });
    await app.db.currentVersion.updateMany({ where: { adapterId }, data: { adapterVersionId: null } });
    expect(await collect()).toMatchObject({ versions: 1 });
  });

  test('goes with its adapter', async () => {
    await send('DELETE', `/v1/adapters/${adapterId}`);
    expect(await send('GET', url())).toMatchObject({ status: 404 });
    expect(await put(null, first)).toMatchObject({ status: 404 });
    await app.db.$executeRaw`UPDATE adapters SET deleted_at = now() - interval '1 year' WHERE id = ${adapterId}`;
    const { producer } = app.deps;
    await collectionTask({ db: app.db, producer, deletionGraceDays: 1 }).run(new AbortController().signal);
    expect(await app.db.currentVersion.findMany({ where: { tenantId } })).toMatchObject([
      { adapterId: otherAdapterId },
    ]);
  });
});

describe('the list of adapters', () => {
  const listed = async (query: string, as = key) => {
    const answer = await send('GET', `/v1/adapters?${query}`, undefined, as);
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    return (answer.body.data as { id: string }[]).map(({ id }) => id);
  };

  test('says who is on a base model version, and who is not', async () => {
    const carried = await publish({ base: fleet.newVersionId, parent: first });
    const [old, next] = [fleet.oldVersionId, fleet.newVersionId];
    for (const as of [key, app.operatorKey]) {
      expect(await listed(`base_model_version_id=${old}`, as)).toEqual([otherAdapterId, adapterId]);
      expect(await listed(`base_model_version_id=${next}`, as)).toEqual([adapterId]);
      expect(await listed(`not_on=${next}`, as)).toEqual([otherAdapterId]);
      expect(await listed(`not_on=${old}`, as)).toEqual([]);
      expect(await listed(`base_model_version_id=${old}&not_on=${next}&tenant_id=${tenantId}`, as)).toEqual([
        otherAdapterId,
      ]);
      expect(await listed(`base_model_version_id=${old}&name=adapter-0`, as)).toContain(adapterId);
    }
    await put(null, carried, { base: next });
    expect(await listed(`base_model_version_id=${next}`)).toEqual([]);
    expect(await listed(`not_on=${next}`)).toEqual([otherAdapterId, adapterId]);
    const unknown = newId('baseModelVersion');
    expect(await listed(`not_on=${unknown}`)).toEqual([]);
    const stranger = await createTestKey(app.db, {
      tenantId: (await app.db.tenant.create({ data: { id: newId('tenant'), name: unknown } })).id,
    });
    expect(await listed(`base_model_version_id=${old}`, stranger)).toEqual([]);
    expect(await listed(`not_on=${next}`, stranger)).toEqual([]);
    await send('DELETE', `/v1/adapters/${otherAdapterId}`);
    expect(await listed(`base_model_version_id=${old}`)).toEqual([adapterId]);
  });

  test('says who is at risk when a base model version retires', async () => {
    const [old, next] = [fleet.oldVersionId, fleet.newVersionId];
    const retire = (id: string, at: string | null, as = app.operatorKey) =>
      send('PATCH', `/v1/base-model-versions/${id}`, { retires_at: at }, as);
    const counts = async () =>
      (await send('GET', `/v1/base-model-versions/${old}/at-risk`, undefined, app.operatorKey)).body;
    expect(await listed(`at_risk_on=${old}`)).toEqual([otherAdapterId, adapterId]);
    expect((await retire(old, '2031-01-01T00:00:00Z', key)).status).toBe(403);
    expect(await retire(old, '2031-01-01T01:00:00+01:00')).toMatchObject({
      status: 200,
      body: { retires_at: '2031-01-01T00:00:00.000Z' },
    });
    await publish({ base: next, parent: first });
    for (const as of [key, app.operatorKey]) {
      expect(await listed(`at_risk_on=${old}`, as)).toEqual([otherAdapterId]);
      expect(await listed(`at_risk_on=${next}`, as)).toEqual([adapterId]);
      expect(await listed(`at_risk_on=${old}&base_model_version_id=${next}`, as)).toEqual([]);
    }
    expect(await counts()).toEqual({
      base_model_version_id: old,
      retires_at: '2031-01-01T00:00:00.000Z',
      adapters: 1,
      tenant_count: 1,
      tenants: [{ tenant_id: tenantId, adapters: 1 }],
    });
    // The next version would be served no longer than the old one.
    await retire(next, '2031-01-01T00:00:00Z');
    expect(await listed(`at_risk_on=${old}`)).toEqual([otherAdapterId, adapterId]);
    expect(await counts()).toMatchObject({ adapters: 2 });
    await retire(next, '2031-01-01T00:00:01Z');
    expect(await listed(`at_risk_on=${old}`)).toEqual([otherAdapterId]);
    // An adapter that is served nowhere is at no risk.
    await send('DELETE', `/v1/adapters/${otherAdapterId}`);
    expect(await counts()).toMatchObject({ adapters: 0, tenant_count: 0, tenants: [] });
    expect(await listed(`at_risk_on=${newId('baseModelVersion')}`)).toEqual([]);

    const events = () => app.db.event.count({ where: { subjectId: next, type: 'base_model_version.updated' } });
    expect(await events()).toBe(2);
    await retire(next, '2031-01-01T00:00:01Z');
    expect(await events()).toBe(2);
    expect((await retire(next, null)).body).toMatchObject({ retires_at: null });
    expect((await retire(newId('baseModelVersion'), null)).status).toBe(404);
    for (const unknown of ['2016-12-31T23:59:60Z', '0000-01-01T00:00:00Z', '2031-01-01', 'soon'])
      expect((await retire(next, unknown)).status, unknown).toBe(400);
  });

  test('goes on page by page', async () => {
    for (const query of [`base_model_version_id=${fleet.oldVersionId}`, `not_on=${fleet.newVersionId}`]) {
      const { body } = await send('GET', `/v1/adapters?${query}&limit=1`);
      expect(body.data.map(({ id }: { id: string }) => id)).toEqual([otherAdapterId]);
      expect(await listed(`${query}&limit=1&cursor=${body.next_cursor}`)).toEqual([adapterId]);
    }
  });
});

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newId } from '../../../src/platform/contract/ids.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { eventually } from '../../eventually.ts';
import { createTestApp, createTestKey, type TestApp } from '../support/index.ts';
import { publish } from './publish.ts';

let app: TestApp;
let fleet: Fleet;
let adapterId: string;
let tenantId: string;
let tenant: string;
let key: string;
/** Key that reads what to serve, for all tenants. */
let servingKey: string;

beforeAll(async () => {
  app = await createTestApp();
  servingKey = await createTestKey(app.db, { tenantId: null, scopes: ['serving:read'] });
});
afterAll(() => app.close());
beforeEach(async () => {
  fleet = await createFleet(app.db, { tenants: 2, adapters: 4 });
  [adapterId] = fleet.adapters as [string];
  ({ tenantId } = await app.db.adapter.findUniqueOrThrow({ where: { id: adapterId } }));
  ({ name: tenant } = await app.db.tenant.findUniqueOrThrow({ where: { id: tenantId } }));
  key = await createTestKey(app.db, { tenantId });
});
afterEach(() => fleet.remove());

const ask = async (url: string, { as = servingKey, etag = '' } = {}) => {
  const headers = etag === '' ? {} : { 'if-none-match': etag };
  const answer = await app.request({ url, key: as, headers });
  return { status: answer.statusCode, etag: answer.headers.etag as string, body: answer.body && answer.json() };
};
const byId = (base = fleet.oldVersionId) => `/v1/adapters/${adapterId}/resolve?base_model_version=${base}`;
const byName = (query: Record<string, string>) => `/v1/serving/resolve?${new URLSearchParams(query)}`;
const move = (to: string | null, expected: string | null) =>
  app.request({
    ...{ method: 'PUT', url: `/v1/adapters/${adapterId}/current/${fleet.oldVersionId}`, key },
    payload: { version_id: to, expected_version_id: expected },
  });

describe('an adapter on a base model version', () => {
  test('is resolved to what is current there, by its identifier and by the names that engines know', async () => {
    const second = await publish(app, adapterId, fleet.oldVersionId);
    const { status, body } = await ask(byId());
    expect(status).toBe(200);
    expect(body).toEqual({
      ...{ adapter_id: adapterId, tenant_id: tenantId, base_model_version_id: fleet.oldVersionId },
      ...{ base_model_fingerprint: null, serving_name: 'served/v1' },
      ...{ alias: `${tenant}.adapter-0`, name: `${tenant}.adapter-0@2`, adapter_version_id: second.id, number: 2 },
      ...{ provisional: false, rank: 4, digest: second.artifactDigest, bytes: Number(second.bytes) },
      changed_at: expect.any(String),
      download: `/v1/adapters/${adapterId}/versions/${second.id}/download`,
      files: `/v1/adapters/${adapterId}/versions/${second.id}/files`,
    });
    const queries: Record<string, string>[] = [
      { name: `${tenant}.adapter-0`, serving_name: 'served/v1' },
      { name: `${tenant}.adapter-0`, base_model_version: fleet.oldVersionId },
      { name: `${tenant}.adapter-0@2`, base_model_version: fleet.oldVersionId, serving_name: 'served/v1' },
      // The version does not exist, so the current one is returned.
      { name: `${tenant}.adapter-0@7`, serving_name: 'served/v1' },
    ];
    for (const query of queries) expect((await ask(byName(query))).body, JSON.stringify(query)).toEqual(body);
  });

  test('is resolved to a version by its number, unless that is for another base or deleted', async () => {
    const second = await publish(app, adapterId, fleet.oldVersionId);
    const carried = await publish(app, adapterId, fleet.newVersionId);
    const named = async (number: number, serving_name: string) =>
      (await ask(byName({ name: `${tenant}.adapter-0@${number}`, serving_name }))).body.number;
    expect([await named(1, 'served/v1'), await named(2, 'served/v1')]).toEqual([1, 2]);
    expect([await named(1, 'served/v2'), await named(3, 'served/v2')]).toEqual([carried.number, 3]);
    await app.db.adapterVersion.updateMany({ where: { adapterId, number: 1 }, data: { deletedAt: new Date() } });
    expect(await named(1, 'served/v1')).toBe(second.number);
  });

  test('is answered by 304 until something else is current, and again after a rollback', async () => {
    const first = await ask(byId());
    expect((await ask(byId(), { etag: first.etag })).status).toBe(304);
    const second = await publish(app, adapterId, fleet.oldVersionId);
    const changed = await ask(byId(), { etag: first.etag });
    expect([changed.status, changed.body.number]).toEqual([200, 2]);
    await move(first.body.adapter_version_id, second.id);
    expect((await ask(byId(), { etag: changed.etag })).body).toMatchObject({
      number: 1,
      name: `${tenant}.adapter-0@1`,
    });
  });

  test('is not resolved where none of its versions is current', async () => {
    const none = [404, 'no_current_version'];
    const codeOf = async (url: string, as?: string) => {
      const { status, body } = await ask(url, as === undefined ? {} : { as });
      return [status, body.code];
    };
    expect(await codeOf(byId(fleet.newVersionId))).toEqual(none);
    const { body } = await ask(byId());
    await move(null, body.adapter_version_id);
    expect(await codeOf(byId())).toEqual(none);
    expect(await codeOf(byName({ name: `${tenant}.adapter-0`, serving_name: 'served/v1' }), key)).toEqual(none);
    // An exact version is returned when named.
    expect((await ask(byName({ name: `${tenant}.adapter-0@1`, serving_name: 'served/v1' }))).status).toBe(200);
  });

  test('is refused with what is wrong', async () => {
    const same = { baseModelId: fleet.baseModelId, path: '/nowhere', servingName: 'served/v1' };
    const twin = newId('baseModelVersion');
    const cases: [Record<string, string>, number, string][] = [
      [{ name: `${tenant}.adapter-0` }, 400, 'invalid_request'],
      [{ name: 'nobody.adapter-0', serving_name: 'served/v1' }, 404, 'not_found'],
      [{ name: 'no dot', serving_name: 'served/v1' }, 404, 'not_found'],
      [{ name: `${tenant}.%00`, serving_name: 'served/v1' }, 404, 'not_found'],
      [{ name: `${tenant}.adapter-0`, serving_name: 'served/v9' }, 404, 'not_found'],
      [{ name: `${tenant}.adapter-0`, serving_name: 'served/\u0000' }, 400, 'invalid_request'],
      [
        { name: `${tenant}.adapter-0`, serving_name: 'served/v2', base_model_version: fleet.oldVersionId },
        422,
        'serving_name_mismatch',
      ],
      [{ name: `${tenant}.adapter-0`, serving_name: 'served/v1', base_model_version: twin }, 404, 'not_found'],
    ];
    for (const [query, status, code] of cases) {
      const { body, ...answer } = await ask(byName(query));
      expect([answer.status, body.code], JSON.stringify(query)).toEqual([status, code]);
    }
    await app.db.baseModelVersion.create({ data: { id: twin, version: 'twin', ...same } });
    const { status, body } = await ask(byName({ name: `${tenant}.adapter-0`, serving_name: 'served/v1' }));
    expect([status, body.code]).toEqual([409, 'ambiguous_serving_name']);
  });

  test('of another tenant does not exist for a tenant, and a path is not shown to it', async () => {
    const [, other] = fleet.adapters as [string, string];
    await app.db.baseModelVersion.update({ where: { id: fleet.oldVersionId }, data: { servingName: '/srv/v1' } });
    expect((await ask(byId(), { as: key })).body).toMatchObject({ serving_name: null, number: 1 });
    expect((await ask(byId())).body).toMatchObject({ serving_name: '/srv/v1' });
    const others = await app.db.adapter.findUniqueOrThrow({ where: { id: other }, include: { tenant: true } });
    expect(others.tenantId).not.toBe(tenantId);
    const name = `${others.tenant.name}.${others.name}`;
    expect((await ask(byName({ name, serving_name: '/srv/v1' }), { as: key })).status).toBe(404);
    expect((await ask(byName({ name, serving_name: '/srv/v1' }))).status).toBe(200);
  });
});

describe('what is current on a base model version', () => {
  const list = (query = '', as?: string) =>
    ask(`/v1/base-model-versions/${fleet.oldVersionId}/current?${query}`, as === undefined ? {} : { as });
  const numbers = (body: { data: { adapter_id: string; number: number }[] }) =>
    body.data.map(({ adapter_id, number }) => [fleet.adapters.indexOf(adapter_id), number]);

  test('is listed by pages, as resolving answers it', async () => {
    const { body } = await list('limit=3');
    expect(numbers(body)).toEqual([0, 1, 2].map((adapter) => [adapter, 1]));
    expect(body.data[0]).toEqual((await ask(byId())).body);
    const next = (await list(`limit=3&cursor=${body.next_cursor}`)).body;
    expect([numbers(next), next.next_cursor, next.next_changed_after]).toEqual([[[3, 1]], null, null]);
    const own = (await list('', key)).body.data.map(({ tenant_id }: { tenant_id: string }) => tenant_id);
    expect([own.length, new Set(own)]).toEqual([2, new Set([tenantId])]);
    expect((await ask('/v1/base-model-versions/bmv_01900000-0000-7000-8000-000000000000/current')).status).toBe(404);
    const position = await ask(
      '/v1/base-model-versions/bmv_01900000-0000-7000-8000-000000000000/current?changed_after=0',
    );
    expect(position.status).toBe(404);
  });

  test('is followed by positions: publications, rollbacks, deletions and what is taken back', async () => {
    const after = async (position: string) => {
      const { body } = await list(`changed_after=${position}`);
      const removed = body.removed.map((id: string) => [fleet.adapters.indexOf(id), null]);
      return { position: body.next_changed_after as string, found: [...numbers(body), ...removed] };
    };
    // A change becomes visible when no older transaction runs, but other test files have some on the same server.
    let position = '0';
    const changes = async (least = 1) => {
      const shown = await eventually('the change is shown', async () => {
        const answer = await after(position);
        return answer.found.length >= least && answer;
      });
      position = shown.position;
      return shown.found;
    };
    const versions = await changes(4);
    expect(versions.map(([, number]) => number)).toEqual([1, 1, 1, 1]);
    expect((await after(position)).found).toEqual([]);
    const first = (await ask(byId())).body.adapter_version_id as string;
    const second = await publish(app, adapterId, fleet.oldVersionId);
    await publish(app, adapterId, fleet.newVersionId);
    expect(await changes()).toEqual([[0, 2]]);
    await move(first, second.id);
    expect(await changes()).toEqual([[0, 1]]);
    await move(null, first);
    expect(await changes()).toEqual([[0, null]]);
    const removal = { method: 'DELETE', url: `/v1/adapters/${fleet.adapters[2]}`, key } as const;
    expect((await app.request(removal)).statusCode).toBe(204);
    expect(await changes()).toEqual([[2, null]]);
    await app.request({ method: 'POST', url: `/v1/adapters/${fleet.adapters[2]}/undelete`, key });
    expect(await changes()).toEqual([[2, 1]]);
    await app.request({ method: 'DELETE', url: `/v1/tenants/${tenantId}` });
    expect((await changes(2)).sort()).toEqual([
      [0, null],
      [2, null],
    ]);
    await app.db.baseModelVersion.update({ where: { id: fleet.oldVersionId }, data: { fingerprint: 'f1' } });
    expect((await changes(4)).length).toBe(4);
    expect((await list(`changed_after=${position}&cursor=YQ`)).body.code).toBe('invalid_cursor');
    expect((await list('changed_after=999999999999-1')).body.code).toBe('invalid_cursor');
  });
});

describe('a key that reads what is to be served of all tenants', () => {
  const create = (payload: object, as?: string) =>
    app.request({ method: 'POST', url: '/v1/api-keys', payload, ...(as === undefined ? {} : { key: as }) });

  test('is shown how engines call a base, and not where the service has its files', async () => {
    const error = {
      code: 'invalid_base_model',
      message: 'config.json cannot be read',
      detail: 'EIO in /srv/models/v1',
    };
    await app.db.baseModelVersion.update({
      where: { id: fleet.oldVersionId },
      data: { path: '/srv/models/v1', servingName: '/models/v1', error },
    });
    const url = `/v1/base-model-versions/${fleet.oldVersionId}`;
    const { base_model_id: model } = (await ask(url)).body;
    for (const from of [url, `/v1/base-models/${model}/versions`]) {
      const read = async (as: string) => {
        const { body } = await ask(from, { as });
        return (body.data ?? [body]).find(({ id }: { id: string }) => id === fleet.oldVersionId);
      };
      const shown = { path: null, source: null, error: { code: error.code, message: error.message } };
      expect(await read(servingKey)).toMatchObject({ ...shown, serving_name: '/models/v1' });
      expect(await read(key)).toMatchObject({ ...shown, serving_name: null });
      expect((await read(servingKey)).error).not.toHaveProperty('detail');
      const operator = (await app.request({ url: from })).json();
      expect(JSON.stringify(operator)).toContain('/srv/models/v1');
    }
  });

  test('is made by an operator who says that it belongs to no tenant', async () => {
    const payload = { name: 'gateway', scopes: ['serving:read'], tenant_id: null };
    const made = await create(payload);
    expect(made.statusCode, made.body).toBe(201);
    expect((await ask(byId(), { as: made.json().key })).status).toBe(200);
    const refused = [
      await create({ ...payload, tenant_id: undefined }),
      await create({ ...payload, scopes: ['serving:read', 'tenant:read'] }),
      await create({ ...payload, scopes: ['tenant:read'] }),
      await create(payload, key),
      await create(payload, made.json().key),
    ].map((answer) => [answer.statusCode, answer.json().code]);
    const unprocessable = [422, 'invalid_scopes'];
    expect(refused).toEqual([unprocessable, unprocessable, unprocessable, [403, 'forbidden'], [403, 'forbidden']]);
  });
});

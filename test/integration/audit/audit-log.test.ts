import { cp } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { writeAuditEntry } from '../../../src/tenants/audit/index.ts';
import { createAdapterWorld, rawTar, good, type AdapterWorld } from '../adapters/support.ts';
import { untilReadable } from '../support/index.ts';
import { controlWrites } from './control-writes.ts';
import { steeredRows } from './steered-rows.ts';
import type { Write } from './write.ts';

const SECRET_TEXT = 'nobody else may read this row';

let world: AdapterWorld;
beforeAll(async () => {
  world = await createAdapterWorld(['control']);
});
afterAll(() => world.app.close());

const operator = (method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', url: string, payload: object = {}) =>
  world.app.request({ method, url, payload });
const tenant = (method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', url: string, payload?: object) =>
  world.request({ method, url, payload });

const base = () => `base-${newId('baseModel').slice(-12)}`;
const name = () => `name-${newId('adapter').slice(-12)}`;

async function newKey(): Promise<string> {
  return (await tenant('POST', '/v1/api-keys', { name: 'ci', scopes: ['tenant:read'] })).json<{ id: string }>().id;
}

const { newRollout, newWorker, newJob } = steeredRows(() => world, name);

const WRITES: Record<string, Write> = {
  createTenant: { actor: 'operator', run: () => operator('POST', '/v1/tenants', { name: name() }) },
  setTenantQuotas: {
    actor: 'operator',
    run: () => operator('PUT', `/v1/tenants/${world.acme.id}/quotas`, { adapters: 500 }),
    entry: { tenant_id: expect.any(String), before: {}, after: { adapters: 500 } },
  },
  createApiKey: {
    actor: 'tenant',
    run: () => tenant('POST', '/v1/api-keys', { name: 'ci', scopes: ['tenant:read'] }),
    entry: { before: null, after: expect.objectContaining({ name: 'ci', key: null }) },
  },
  rotateApiKey: {
    actor: 'tenant',
    given: newKey,
    run: (id) => tenant('POST', `/v1/api-keys/${id}/rotate`, {}),
    entry: { before: expect.objectContaining({ expires_at: null }), after: expect.objectContaining({ key: null }) },
  },
  revokeApiKey: {
    actor: 'tenant',
    given: newKey,
    run: (id) => tenant('DELETE', `/v1/api-keys/${id}`),
    entry: {
      before: expect.objectContaining({ revoked_at: null }),
      after: expect.objectContaining({ revoked_at: expect.any(String) }),
    },
  },
  createBaseModel: { actor: 'operator', run: () => operator('POST', '/v1/base-models', { name: base() }) },
  createBaseModelVersion: {
    actor: 'operator',
    async given() {
      const folder = path.join(world.app.allowedRoot, base());
      await cp(world.fixture('control').base, folder, { recursive: true });
      return folder;
    },
    run: (folder) => operator('POST', '/v1/base-models/tiny/versions', { version: name(), path: folder }),
  },
  createDataset: {
    actor: 'tenant',
    run: () =>
      world.request({
        method: 'POST',
        url: `/v1/datasets?name=${name()}`,
        headers: { 'content-type': 'application/x-ndjson' },
        payload: ['training', 'search', 'gate']
          .map((split) => JSON.stringify({ prompt: `${SECRET_TEXT} ${split}`, completion: 'x', split }))
          .join('\n'),
      }),
  },
  createAdapter: { actor: 'tenant', run: () => tenant('POST', '/v1/adapters', world.body(name())) },
  importAdapterVersion: {
    actor: 'tenant',
    given: async () => (await world.createAdapter(name())).id,
    run: (id) =>
      tenant('POST', `/v1/adapters/${id}/versions`, {
        base_model_version: 'control',
        path: world.fixture('control').adapter,
      }),
    entry: { after: expect.objectContaining({ number: 1 }) },
  },
  uploadAdapterVersion: {
    actor: 'tenant',
    given: async () => (await world.createAdapter(name())).id,
    run: (id) => world.uploadTar(id, rawTar(good())),
    entry: { after: expect.objectContaining({ number: 1 }) },
  },
  createRollout: {
    actor: 'operator',
    async given() {
      const { baseModelVersionId } = await world.app.db.rollout.findUniqueOrThrow({
        where: { id: await newRollout() },
      });
      await world.app.db.rollout.updateMany({ data: { state: 'completed' } });
      return baseModelVersionId;
    },
    run: (id) => operator('POST', '/v1/rollouts', { base_model_version_id: id }),
  },
  createRolloutForecast: {
    actor: 'operator',
    async given() {
      return (await world.app.db.rollout.findUniqueOrThrow({ where: { id: await newRollout() } })).baseModelVersionId;
    },
    run: (id) => operator('POST', '/v1/rollout-forecasts', { base_model_version_id: id }),
    entry: { tenant_id: null, before: null, after: expect.objectContaining({ state: 'queued' }) },
  },
  cancelRollout: {
    actor: 'operator',
    given: newRollout,
    run: (id) => operator('POST', `/v1/rollouts/${id}/cancel`),
    entry: { before: { state: 'adapting' }, after: { state: 'cancelled' } },
  },
  cancelJob: {
    actor: 'tenant',
    given: newJob,
    run: (id) => tenant('POST', `/v1/jobs/${id}/cancel`),
    entry: { before: { state: 'queued', ended: false }, after: { state: 'cancelled', ended: true } },
  },
};

/** Creates something and deletes it by the operation. @returns its identifier */
async function deleted(operationId: string): Promise<string> {
  const made = await WRITES[operationId]!.given!();
  expect((await WRITES[operationId]!.run(made)).statusCode).toBe(204);
  return made;
}

const undeletion = (operationId: string, path: string, after: object): Write => ({
  actor: 'tenant',
  given: () => deleted(operationId),
  run: (id) => tenant('POST', `${path}/${id}/undelete`),
  entry: { before: null, after },
});

Object.assign(
  WRITES,
  controlWrites({
    operator,
    tenant,
    newRollout,
    newJob,
    newWorker,
    app: () => world.app,
    baseModelId: () => world.baseModelId,
  }),
  {
    deleteDataset: {
      actor: 'tenant',
      given: async () => (await WRITES['createDataset']!.run('')).json().id,
      run: (id) => tenant('DELETE', `/v1/datasets/${id}`),
      entry: { before: { name: expect.any(String) }, after: null },
    },
    deleteAdapter: {
      actor: 'tenant',
      given: async () => (await world.createAdapter(name())).id,
      run: (id) => tenant('DELETE', `/v1/adapters/${id}`),
      entry: { before: { name: expect.any(String) }, after: null },
    },
    deleteAdapterVersion: {
      actor: 'tenant',
      async given() {
        const { id } = await world.createAdapter(name());
        const first = await world.uploadTar(id, rawTar(good()));
        await world.uploadTar(id, rawTar(good()));
        return `${id}/versions/${first.json<{ id: string }>().id}`;
      },
      run: (version) => tenant('DELETE', `/v1/adapters/${version}`),
      entry: { before: { adapter_id: expect.any(String), number: 1 }, after: null },
    },
    deleteTenant: {
      actor: 'operator',
      given: async () => (await WRITES['createTenant']!.run('')).json().id,
      run: (id) => operator('DELETE', `/v1/tenants/${id}`),
      entry: { tenant_id: null, before: null, after: null },
    },
    undeleteDataset: undeletion('deleteDataset', '/v1/datasets', { name: expect.any(String) }),
    undeleteAdapter: undeletion('deleteAdapter', '/v1/adapters', { name: expect.any(String) }),
    undeleteAdapterVersion: undeletion('deleteAdapterVersion', '/v1/adapters', {
      adapter_id: expect.any(String),
      number: 1,
    }),
    undeleteTenant: {
      actor: 'operator',
      given: () => deleted('deleteTenant'),
      run: (id) => operator('POST', `/v1/tenants/${id}/undelete`),
      entry: { tenant_id: expect.any(String), before: null, after: { name: expect.any(String) } },
    },
    updateAdapter: {
      actor: 'tenant',
      given: async () => (await world.createAdapter(name())).id,
      run: (id) =>
        tenant('PATCH', `/v1/adapters/${id}`, {
          ...{ dataset_id: null, labels: { tier: 'gold' }, approval: 'tenant' },
          gate: { kind: 'absolute', target: 0.3 },
        }),
      entry: {
        before: { dataset_id: expect.any(String), labels: {}, approval: 'none', gate: expect.any(Object) },
        after: {
          ...{ dataset_id: null, labels: { tier: 'gold' }, approval: 'tenant' },
          gate: expect.objectContaining({ kind: 'absolute', target: 0.3 }),
        },
      },
    },
    setCurrentVersion: {
      actor: 'tenant',
      async given() {
        const source = { path: world.fixture('control').adapter, base_model_version: 'control' };
        const { id, current } = await world.createAdapter(name(), { source });
        const { base_model_version_id: base, version_id: version } = current[0]!;
        return `${id}/current/${base} ${version}`;
      },
      run(given) {
        const [url, version] = given.split(' ');
        return tenant('PUT', `/v1/adapters/${url}`, { version_id: null, expected_version_id: version });
      },
      entry: {
        before: expect.objectContaining({ version_id: expect.any(String) }),
        after: expect.objectContaining({ version_id: null }),
      },
    },
  } satisfies Record<string, Write>,
);

interface Entry {
  sequence: string;
  operation: string;
  [member: string]: unknown;
}

/** Entries after a position, as the operator sees them. */
async function entriesAfter(after: string): Promise<Entry[]> {
  await untilReadable(world.app.db);
  const answer = await world.app.request({ url: `/v1/audit-log?after=${after}&limit=1000` });
  return answer.json<{ data: Entry[] }>().data;
}

const lastPosition = async (): Promise<string> => (await entriesAfter('0')).at(-1)!.sequence;

test('each operation that writes leaves one entry, in the transaction of its change', async () => {
  interface Operations {
    paths: Record<string, Record<string, { operationId: string }>>;
  }
  const document = (await world.app.request({ url: '/openapi.json', key: null })).json<Operations>();
  const writes = Object.entries(document.paths)
    .filter(([url]) => url.startsWith('/v1/'))
    .flatMap(([, methods]) => Object.entries(methods))
    .filter(([method]) => method !== 'get' && method !== 'head')
    .map(([, operation]) => operation.operationId);
  expect(writes.sort()).toEqual(Object.keys(WRITES).sort());

  for (const operationId of writes) {
    const { run, given, actor, entry } = WRITES[operationId]!;
    const made = (await given?.()) ?? '';
    const before = await lastPosition();
    const answer = await run(made);
    expect(answer.statusCode, `${operationId}: ${answer.body}`).toBeLessThan(300);
    const found = await entriesAfter(before);
    expect(found, operationId).toHaveLength(1);
    expect(found[0], operationId).toMatchObject({
      operation: operationId,
      actor,
      request_id: answer.headers['x-request-id'],
      key_id: expect.stringMatching(/^key_/),
      subject_id: expect.stringMatching(/^[a-z]+_/),
      ...entry,
    });
    if (actor === 'tenant') expect(found[0], operationId).toMatchObject({ tenant_id: world.acme.id });
    const id = await world.app.db.$queryRaw<{ same: boolean }[]>`
      SELECT EXISTS (SELECT 1 FROM events e JOIN audit_entries a ON a.transaction_id = e.transaction_id
        WHERE a.request_id = ${answer.headers['x-request-id']}) AS same`;
    expect(id, `${operationId}: its event is of the same transaction`).toEqual([{ same: true }]);
  }
});

describe('no entry is left', () => {
  test.each([
    [
      'a refused request',
      () => tenant('POST', '/v1/adapters', world.body('bad', { dataset_id: newId('dataset') })),
      404,
    ],
    ['a forbidden one', () => tenant('POST', '/v1/tenants', { name: 'x' }), 403],
  ])('by %s', async (_what, run, status) => {
    const count = await world.app.db.auditEntry.count();
    expect((await run()).statusCode).toBe(status);
    expect(await world.app.db.auditEntry.count()).toBe(count);
  });

  test('by a repeated request that changes nothing, and a replayed one', async () => {
    const headers = { 'idempotency-key': 'audit-1' };
    const create = () =>
      world.request({ method: 'POST', url: '/v1/adapters', headers, payload: world.body('replayed') });
    expect((await create()).statusCode).toBe(201);
    const rollout = await newRollout();
    const cancel = () => operator('POST', `/v1/rollouts/${rollout}/cancel`);
    const key = await newKey();
    const revoke = () => tenant('DELETE', `/v1/api-keys/${key}`);
    await Promise.all([cancel(), revoke()]);
    const count = await world.app.db.auditEntry.count();
    const answers = [await create(), await cancel(), await revoke()];
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([201, 200, 204]);
    expect(await world.app.db.auditEntry.count()).toBe(count);
  });

  test('by a change that is rolled back', async () => {
    const count = await world.app.db.auditEntry.count();
    const change = { tenantId: null, subjectId: 'x', before: null, after: null };
    const rolledBack = withTransaction(world.app.db, async (tx) => {
      await writeAuditEntry(tx, {
        ...change,
        actor: { kind: 'operator', keyId: null },
        operation: 'x',
        requestId: null,
      });
      throw new Error('no');
    });
    await expect(rolledBack).rejects.toThrow('no');
    expect(await world.app.db.auditEntry.count()).toBe(count);
  });
});

test('neither secrets nor texts of rows are in the log', async () => {
  const created = await tenant('POST', '/v1/api-keys', { name: 'secret', scopes: ['tenant:read'] });
  await WRITES.createDataset!.run('');
  const text = JSON.stringify(await entriesAfter('0'));
  expect(text).not.toContain(created.json<{ key: string }>().key.slice(-43));
  expect(text).not.toContain(SECRET_TEXT);
});

test('a tenant sees changes of its own data only, also those of the operator', async () => {
  await operator('PUT', `/v1/tenants/${world.acme.id}/quotas`, { adapters: 600 });
  await operator('PUT', `/v1/tenants/${world.other.id}/quotas`, { adapters: 600 });
  await operator('POST', '/v1/base-models', { name: base() });
  await untilReadable(world.app.db);
  const own = (await world.request({ url: '/v1/audit-log?limit=1000' })).json<{ data: Entry[] }>().data;
  expect(new Set(own.map(({ tenant_id }) => tenant_id))).toEqual(new Set([world.acme.id]));
  expect(own.some(({ operation, actor }) => operation === 'setTenantQuotas' && actor === 'operator')).toBe(true);
  const foreign = await world.request({ url: `/v1/audit-log?tenant_id=${world.other.id}` });
  expect(foreign.statusCode).toBe(404);
  const filtered = await world.app.request({ url: `/v1/audit-log?tenant_id=${world.other.id}` });
  expect(filtered.json<{ data: Entry[] }>().data.map(({ tenant_id }) => tenant_id)).toEqual([world.other.id]);
});

describe('the export', () => {
  test('has the same entries as the list, one a line, over many pages, and says when nothing is new', async () => {
    await world.app.db.$executeRaw`
      INSERT INTO audit_entries (id, actor, operation, subject_id)
      SELECT 'aud_' || n, 'operator', 'bulk', 'ten_bulk' FROM generate_series(1, 2500) AS n`;
    await untilReadable(world.app.db);
    const all = await world.app.request({ url: '/v1/audit-log/export' });
    expect(all.headers['content-type']).toContain('application/x-ndjson');
    const lines = all.body.trimEnd().split('\n');
    expect(lines.length).toBe(await world.app.db.auditEntry.count());
    const entries = lines.map((line) => JSON.parse(line) as Entry);
    expect(new Set(entries.map(({ sequence }) => sequence)).size).toBe(lines.length);
    const listed = await entriesAfter('0');
    expect(entries.slice(0, listed.length)).toEqual(listed);
    const about = await world.app.request({ url: '/v1/audit-log/export?subject_id=ten_bulk' });
    expect(about.body.trimEnd().split('\n')).toEqual(lines.slice(-2500));
    const headers = { 'if-none-match': String(all.headers.etag) };
    expect((await world.app.request({ url: '/v1/audit-log/export', headers })).statusCode).toBe(304);
    const rest = await world.app.request({ url: `/v1/audit-log/export?after=${entries[99]!.sequence}` });
    expect(rest.body.trimEnd().split('\n')).toEqual(lines.slice(100));
    expect((await world.app.request({ url: `/v1/audit-log/export?after=${entries.at(-1)!.sequence}` })).body).toBe('');
  });
});

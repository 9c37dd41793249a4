import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createTestApp } from '../support/index.ts';
import { createWebhookWorld, type WebhookWorld } from './webhook-world.ts';

const PUBLIC = 'https://hooks.example.com/readapt';

let world: WebhookWorld;
beforeAll(async () => {
  world = await createWebhookWorld();
});
afterEach(() => world.reset());
afterAll(() => world.close());

const job = (count: number): string[] => Array.from({ length: count }, () => 'job.ready');
const eventsOf = async (subjectId: string): Promise<string[]> =>
  (await world.app.db.event.findMany({ where: { subjectId }, orderBy: { seq: 'asc' } })).map(({ type }) => type);

describe('an endpoint that is disabled', () => {
  test('after three days in vain stays where it is, and goes on when it is enabled', async () => {
    const receiver = await world.receiver();
    receiver.answer = () => ({ status: 500 });
    const { id } = await world.endpoint(receiver.url, { event_types: ['job.*'] });
    const sent = await world.record(world.acme.id, job(3));
    world.deliverer();
    await expect
      .poll(() => world.get(id))
      .toMatchObject({
        enabled: false,
        disabled_reason: 'failing',
      });
    expect(await eventsOf(id)).toEqual(['webhook_endpoint.created', 'webhook_endpoint.disabled']);
    expect(await world.log(id, '?state=failed')).toMatchObject([{ attempts: 4, outcome: 'refused', status_code: 500 }]);
    const count = receiver.received.length;
    const later = await world.record(world.acme.id, job(1));
    receiver.answer = () => ({ status: 200 });
    const { body } = await world.send('PATCH', `/v1/webhook-endpoints/${id}`, { enabled: true });
    expect(body).toMatchObject({ enabled: true, disabled_reason: null, failures: 0 });
    const pending = (await world.log(id)).filter(({ state }) => state === 'failed').map(({ event_id }) => event_id);
    // Abandoned events are not sent by themselves; all others are.
    const awaited = [...sent, ...later].filter((event) => !pending.includes(event)).sort();
    await receiver.waitFor(count + awaited.length);
    expect(
      receiver.received
        .slice(count)
        .map(({ headers }) => headers['webhook-id'])
        .sort(),
    ).toEqual(awaited);
  });

  test('is not disabled for one event that it never takes, which is given up', async () => {
    const receiver = await world.receiver();
    const { id } = await world.endpoint(receiver.url, { event_types: ['job.*'] });
    const [poison] = await world.record(world.acme.id, job(2));
    receiver.answer = ({ headers }) => ({ status: headers['webhook-id'] === poison ? 500 : 200 });
    world.deliverer();
    await expect.poll(() => world.log(id, '?state=failed')).toMatchObject([{ event_id: poison, attempts: 4 }]);
    expect(await world.get(id)).toMatchObject({ enabled: true });
    expect(await eventsOf(id)).not.toContain('webhook_endpoint.disabled');
  });

  test('at once when it answers 410', async () => {
    const receiver = await world.receiver();
    receiver.answer = () => ({ status: 410 });
    const { id } = await world.endpoint(receiver.url, { event_types: ['job.*'] });
    await world.record(world.acme.id, job(3));
    world.deliverer();
    await expect.poll(() => world.get(id)).toMatchObject({ enabled: false, disabled_reason: 'gone' });
    expect(receiver.received).toHaveLength(1);
    for (const path of ['test', 'replay']) {
      const answer = await world.send('POST', `/v1/webhook-endpoints/${id}/${path}`, { after: '0' });
      expect(answer).toMatchObject({ status: 409, body: { code: 'webhook_endpoint_disabled' } });
    }
  });

  test('by a request, which the log of changes shows', async () => {
    const { id } = await world.endpoint(PUBLIC);
    const { body } = await world.send('PATCH', `/v1/webhook-endpoints/${id}`, { enabled: false });
    expect(body).toMatchObject({ enabled: false, disabled_reason: 'requested' });
  });
});

test('a secret that is rotated signs besides the new one until it expires', async () => {
  const receiver = await world.receiver();
  const { id, secret } = await world.endpoint(receiver.url, { event_types: ['job.*'] });
  const { status, body } = await world.send('POST', `/v1/webhook-endpoints/${id}/rotate-secret`, {
    overlap_ms: 60_000,
  });
  expect(status).toBe(201);
  const rotated = body['secret'] as string;
  expect(rotated).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  await world.record(world.acme.id, job(1));
  world.deliverer();
  await receiver.waitFor(1);
  expect(String(receiver.received[0]!.headers['webhook-signature']).split(' ')).toHaveLength(2);
  expect(receiver.messages(secret!)).toEqual(receiver.messages(rotated));
  // An overlap of zero ends all other secrets.
  const third = await world.send('POST', `/v1/webhook-endpoints/${id}/rotate-secret`, { overlap_ms: 0 });
  await world.record(world.acme.id, job(1));
  await receiver.waitFor(2);
  receiver.received
    .slice(1)
    .forEach(({ headers }) => expect(String(headers['webhook-signature']).split(' ')).toHaveLength(1));
  expect(() => receiver.messages(rotated)).toThrow(/No matching signature/);
  expect(third.status).toBe(201);
});

test('no more than four secrets sign at a time, and a retry of a rotation rotates once', async () => {
  const { id } = await world.endpoint(PUBLIC);
  const url = `/v1/webhook-endpoints/${id}/rotate-secret`;
  for (let count = 0; count < 3; count++) expect((await world.send('POST', url, {})).status).toBe(201);
  expect(await world.send('POST', url, {})).toMatchObject({ status: 409, body: { code: 'rotation_in_progress' } });
  expect((await world.send('POST', url, { overlap_ms: 0 })).status).toBe(201);
  const headers = { 'idempotency-key': 'rotate-once' };
  const rotate = () => world.app.request({ method: 'POST', url, key: world.acme.key, headers, payload: {} });
  const [first, second] = [await rotate(), await rotate()];
  expect(first.json()).toMatchObject({ secret: expect.stringMatching(/^whsec_/) });
  expect(second.json()).toEqual({ ...first.json<object>(), secret: null });
});

const CHANGES_WITHOUT_URL =
  'events say what was changed of an endpoint, and not where it is, which readers of events need not know';
test(CHANGES_WITHOUT_URL, async () => {
  const { id } = await world.endpoint(PUBLIC);
  await world.send('PATCH', `/v1/webhook-endpoints/${id}`, { url: 'https://other.example.com/', event_types: [] });
  await world.send('DELETE', `/v1/webhook-endpoints/${id}`);
  const events = await world.app.db.event.findMany({ where: { subjectId: id }, orderBy: { seq: 'asc' } });
  expect(events.map(({ type, data }) => [type, data])).toEqual([
    ['webhook_endpoint.created', { event_types: [] }],
    ['webhook_endpoint.updated', { changed: ['url', 'event_types'] }],
    ['webhook_endpoint.deleted', {}],
  ]);
});

test('the database holds no secret that can be read', async () => {
  const { id, secret } = await world.endpoint(PUBLIC);
  const rows = await world.app.db.$queryRaw<{ row: string }[]>`
    SELECT row_to_json(s)::text AS row FROM webhook_secrets s UNION ALL SELECT row_to_json(e)::text FROM events e
    UNION ALL SELECT row_to_json(a)::text FROM audit_entries a UNION ALL SELECT row_to_json(i)::text
      FROM idempotency_records i`;
  const text = rows.map(({ row }) => row).join('\n');
  expect(text).toContain(id);
  expect(text).not.toContain(secret!.slice('whsec_'.length, 30));
});

describe('replays', () => {
  test('of one event, of all after a position, and of all since a time, have the same identifiers', async () => {
    const receiver = await world.receiver();
    // Events of other tests may be recent too.
    await world.app.db.event.deleteMany();
    const { id, position } = await world.endpoint(receiver.url, { event_types: ['job.*'] });
    const before = new Date().toISOString();
    const sent = await world.record(world.acme.id, job(3));
    world.deliverer();
    await receiver.waitFor(3);
    await expect.poll(() => world.log(id).then((log) => log.length)).toBe(3);
    const [{ id: delivery } = { id: '' }] = (await world.log(id)).filter(({ event_id }) => event_id === sent[1]);
    const replayed = await world.send('POST', `/v1/webhook-endpoints/${id}/deliveries/${delivery}/replay`);
    expect(replayed).toMatchObject({ status: 200, body: { state: 'pending', attempts: 0 } });
    await receiver.waitFor(4);
    // Until the delivery is recorded, another replay would send the event again.
    await expect.poll(() => world.log(id)).toMatchObject(sent.map(() => ({ state: 'delivered', attempts: 1 })));
    expect((await world.send('POST', `/v1/webhook-endpoints/${id}/replay`, { after: position })).status).toBe(200);
    await receiver.waitFor(7);
    expect((await world.send('POST', `/v1/webhook-endpoints/${id}/replay`, { since: before })).status).toBe(200);
    await receiver.waitFor(10);
    const ids = receiver.received.map(({ headers }) => headers['webhook-id']);
    expect(ids).toEqual([...sent, sent[1], ...sent, ...sent]);
    await expect.poll(() => world.log(id)).toMatchObject(sent.map(() => ({ state: 'delivered', attempts: 1 })));
  });

  test('from a position that was pruned or that was never reached are refused', async () => {
    const { id } = await world.endpoint(PUBLIC);
    const url = `/v1/webhook-endpoints/${id}/replay`;
    const ahead = await world.send('POST', url, { after: '99999999999-1' });
    expect(ahead).toMatchObject({ status: 400, body: { code: 'invalid_cursor' } });
    const pruned = { eventsPrunedTransactionId: 2n, eventsPrunedSeq: 5n };
    await world.app.db.tenant.update({ where: { id: world.acme.id }, data: pruned });
    expect(await world.send('POST', url, { after: '2-1' })).toMatchObject({
      status: 410,
      body: { code: 'position_expired' },
    });
    await world.app.db.tenant.update({
      where: { id: world.acme.id },
      data: { eventsPrunedTransactionId: 0n, eventsPrunedSeq: 0n },
    });
  });
});

test('a test reaches its endpoint alone, whatever types are chosen', async () => {
  const [receiver, neighbour] = [await world.receiver(), await world.receiver()];
  const { id, secret } = await world.endpoint(receiver.url, { event_types: ['job.*'] });
  await world.endpoint(neighbour.url);
  const answer = await world.send('POST', `/v1/webhook-endpoints/${id}/test`);
  expect(answer).toMatchObject({ status: 202, body: { state: 'pending', event_type: 'webhook_endpoint.tested' } });
  expect((await world.send('POST', `/v1/webhook-endpoints/${id}/test`)).body).toMatchObject({
    code: 'webhook_test_waiting',
  });
  world.deliverer();
  await receiver.waitFor(1);
  expect(receiver.messages(secret!)).toMatchObject([{ type: 'webhook_endpoint.tested', data: { subject_id: id } }]);
  const [later] = await world.record(world.acme.id, job(1));
  await expect.poll(() => neighbour.received.map(({ headers }) => headers['webhook-id'])).toContain(later);
  const types = neighbour.received.map(({ body }) => (JSON.parse(body) as { type: string }).type);
  expect(types).not.toContain('webhook_endpoint.tested');
});

describe('owners', () => {
  test('a tenant gets its own events, and the operator those of all', async () => {
    const [own, all] = [await world.receiver(), await world.receiver()];
    await world.endpoint(own.url, { event_types: ['job.*'] });
    await world.endpoint(all.url, { event_types: ['job.*'], key: world.app.operatorKey });
    const [mine] = await world.record(world.acme.id, job(1));
    const [theirs] = await world.record(world.other.id, job(1));
    const [operators] = await world.record(null, job(1));
    world.deliverer();
    await all.waitFor(3);
    expect(all.received.map(({ headers }) => headers['webhook-id'])).toEqual([mine, theirs, operators]);
    await own.waitFor(1);
    expect(own.received.map(({ headers }) => headers['webhook-id'])).toEqual([mine]);
  });

  test('what belongs to another tenant or the operator does not exist', async () => {
    const { id } = await world.endpoint(PUBLIC);
    const operators = await world.endpoint(PUBLIC, { key: world.app.operatorKey });
    const listed = await world.app.request({ url: '/v1/webhook-endpoints', key: world.other.key });
    expect(listed.json()).toEqual({ data: [], next_cursor: null });
    for (const foreign of [id, operators.id]) {
      const url = `/v1/webhook-endpoints/${foreign}`;
      for (const [method, path, payload] of [
        ['PATCH', url, { enabled: false }],
        ['DELETE', url, undefined],
        ['POST', `${url}/rotate-secret`, {}],
        ['POST', `${url}/test`, undefined],
        ['POST', `${url}/replay`, { after: '0' }],
      ] as const) {
        expect(await world.send(method, path, payload, world.other.key)).toMatchObject({ status: 404 });
      }
    }
    const forbidden = await world.send('POST', '/v1/webhook-endpoints', { url: PUBLIC, tenant_id: null });
    expect(forbidden).toMatchObject({ status: 403 });
    const foreign = await world.send('POST', '/v1/webhook-endpoints', { url: PUBLIC, tenant_id: world.other.id });
    expect(foreign).toMatchObject({ status: 404 });
  });

  test('a tenant that is deleted gets nothing more, until it is undeleted', async () => {
    const [receiver, all] = [await world.receiver(), await world.receiver()];
    const tenant = (await world.send('POST', '/v1/tenants', { name: 'gone' }, world.app.operatorKey)).body[
      'id'
    ] as string;
    await world.endpoint(receiver.url, { tenant_id: tenant, key: world.app.operatorKey, event_types: ['job.*'] });
    await world.endpoint(all.url, { key: world.app.operatorKey, event_types: ['job.*'] });
    await world.send('DELETE', `/v1/tenants/${tenant}`, undefined, world.app.operatorKey);
    await world.record(tenant, job(1));
    world.deliverer();
    await all.waitFor(1);
    expect(receiver.received).toEqual([]);
    await world.send('POST', `/v1/tenants/${tenant}/undelete`, undefined, world.app.operatorKey);
    await receiver.waitFor(1);
  });

  test('have twenty endpoints at most, also when they are created at once', async () => {
    const create = () => world.send('POST', '/v1/webhook-endpoints', { url: PUBLIC });
    const answers = await Promise.all(Array.from({ length: 24 }, create));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(20);
    const refused = answers.filter(({ status }) => status !== 201);
    expect(refused).toMatchObject(
      refused.map(() => ({ status: 409, body: { code: 'too_many_webhook_endpoints', limit: 20 } })),
    );
    expect((await world.send('POST', '/v1/webhook-endpoints', { url: PUBLIC }, world.other.key)).status).toBe(201);
  });
});

test('an endpoint that is changed while it is sent to is sent to at its new address', async () => {
  const [first, second] = [await world.receiver(), await world.receiver()];
  const { id } = await world.endpoint(first.url, { event_types: ['job.*'] });
  const [event] = await world.record(world.acme.id, job(1));
  first.answer = async () => {
    await world.send('PATCH', `/v1/webhook-endpoints/${id}`, { url: second.url });
    return { status: 200 };
  };
  world.deliverer();
  await second.waitFor(1);
  expect(second.received[0]!.headers['webhook-id']).toBe(event);
});

const NO_SECRET_KEY =
  'without a key for secrets, endpoints are refused with the setting, and with an unknown one none is sent to';
test(NO_SECRET_KEY, async () => {
  const app = await createTestApp({ env: { READAPT_SECRET_KEY: '' } });
  const refused = await app.request({ method: 'POST', url: '/v1/webhook-endpoints', payload: { url: PUBLIC } });
  expect(refused.statusCode).toBe(503);
  expect(refused.json()).toMatchObject({
    code: 'secret_key_missing',
    detail: expect.stringContaining('READAPT_SECRET_KEY'),
  });
  await app.close();
  const receiver = await world.receiver();
  const { id, secret } = await world.endpoint(receiver.url, { event_types: ['job.*'] });
  await world.record(world.acme.id, job(1));
  const [old] = world.app.config.secretKeys;
  const other = Buffer.alloc(32, 2).toString('base64');
  const stranger = world.deliverer({ secretKeys: [other] });
  const row = () => world.app.db.webhookEndpoint.findUniqueOrThrow({ where: { id } });
  await expect.poll(async () => (await row()).nextTurnAt.getTime() - Date.now()).toBeGreaterThan(30_000);
  expect(receiver.received).toEqual([]);
  await stranger.stop();
  await world.app.db.webhookEndpoint.update({ where: { id }, data: { nextTurnAt: new Date() } });
  // A new key placed before the old one: both decrypt.
  world.deliverer({ secretKeys: [other, old!] });
  await receiver.waitFor(1);
  expect(receiver.messages(secret!)).toHaveLength(1);
});

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { newId } from '../../../src/platform/contract/ids.ts';
import { createAddressPolicy } from '../../../src/platform/outgoing/address-policy.ts';
import { createPost, type Post } from '../../../src/platform/outgoing/post.ts';
import { deliveryRepository } from '../../../src/delivery/webhooks/delivery/delivery.repository.ts';
import { RETRY_SCHEDULE } from '../../../src/delivery/webhooks/index.ts';
import { createTestTenant, untilReadable } from '../support/index.ts';
import { createWebhookWorld, type WebhookWorld } from './webhook-world.ts';

/** Delay longer than any test, in milliseconds. */
const LATER_MS = 3_600_000;

let world: WebhookWorld;
beforeAll(async () => {
  world = await createWebhookWorld();
});
afterEach(() => world.reset());
afterAll(() => world.close());

const job = (count: number, type = 'job.ready'): string[] => Array.from({ length: count }, () => type);

test('events arrive signed, in the order of commits, once each, and the log says so', async () => {
  const receiver = await world.receiver();
  const { id, secret } = await world.endpoint(receiver.url, { event_types: ['job.*', 'rollout.completed'] });
  const sent = await world.record(world.acme.id, [
    'job.ready',
    'adapter.created',
    'job.failed',
    'rollout.completed',
    'rollout.paused',
  ]);
  world.deliverer();
  await receiver.waitFor(3);
  const messages = receiver.messages(secret!);
  expect(messages.map(({ data }) => data.id)).toEqual([sent[0], sent[2], sent[3]]);
  expect(receiver.received.map(({ headers }) => headers['webhook-id'])).toEqual([sent[0], sent[2], sent[3]]);
  const listed = (await world.app.request({ url: '/v1/events?limit=1000' })).json<{ data: { id: string }[] }>().data;
  expect(messages[0]).toEqual({
    type: 'job.ready',
    timestamp: expect.any(String),
    data: listed.find((event) => event.id === sent[0]),
  });
  await expect.poll(() => world.log(id).then((log) => log.length)).toBe(3);
  const [last] = await world.log(id);
  expect(last).toMatchObject({
    event_id: sent[3],
    state: 'delivered',
    attempts: 1,
    status_code: 204,
    next_attempt_at: null,
  });
  expect(await world.get(id)).toMatchObject({ failures: 0, last_success_at: expect.any(String) });
});

test('what fails is tried again with the same identifier, and holds up no later event', async () => {
  const receiver = await world.receiver();
  const { id, secret } = await world.endpoint(receiver.url, { event_types: ['job.*'] });
  const [poison, next] = await world.record(world.acme.id, job(2));
  let failures = 0;
  receiver.answer = ({ headers }) => {
    if (headers['webhook-id'] !== poison || failures === 2) return { status: 200 };
    failures += 1;
    return { status: 500 };
  };
  world.deliverer();
  await receiver.waitFor(4);
  const order = receiver.messages(secret!).map(({ data }) => data.id);
  expect(order[0]).toBe(poison);
  expect(order.filter((one) => one === poison)).toHaveLength(3);
  expect(order.filter((one) => one === next)).toHaveLength(1);
  await expect
    .poll(() => world.log(id))
    .toMatchObject([
      { event_id: next, state: 'delivered', attempts: 1 },
      { event_id: poison, state: 'delivered', attempts: 3, outcome: 'delivered' },
    ]);
});

test.each<{ what: string; headers: Record<string, string>; seconds: number }>([
  { what: 'without a Retry-After', headers: {}, seconds: 5 },
  { what: 'with one of an hour', headers: { 'retry-after': '3600' }, seconds: 3600 },
  { what: 'with one of eleven days', headers: { 'retry-after': '999999' }, seconds: 86_400 },
  { what: 'with one that is no number', headers: { 'retry-after': 'tomorrow' }, seconds: 5 },
])('after an answer $what, the next attempt follows when it should', async ({ headers, seconds }) => {
  const receiver = await world.receiver();
  receiver.answer = () => ({ status: 503, headers });
  const { id } = await world.endpoint(receiver.url, { event_types: ['job.*'] });
  await world.record(world.acme.id, job(1));
  world.deliverer({ schedule: RETRY_SCHEDULE });
  await expect.poll(() => world.log(id)).toMatchObject([{ state: 'pending', attempts: 1, status_code: 503 }]);
  const [{ next_attempt_at: next, last_attempt_at: last } = { next_attempt_at: null, last_attempt_at: null }] =
    await world.log(id);
  const waits = (Date.parse(next!) - Date.parse(last!)) / 1000;
  // Jitter of a tenth keeps failed deliveries from returning all at once.
  expect(waits).toBeGreaterThanOrEqual(0.9 * seconds - 1);
  expect(waits).toBeLessThanOrEqual(1.1 * seconds + 1);
});

const DEATH_BEFORE_NOTE =
  'a process that dies after the event was sent and before it is written down sends it again, with the same identifier';
test(DEATH_BEFORE_NOTE, async () => {
  const receiver = await world.receiver();
  const { id, secret } = await world.endpoint(receiver.url, { event_types: ['job.*'] });
  const [event] = await world.record(world.acme.id, job(1));
  // The receiver's answer removes the lease, as if the process had been stopped for a minute.
  receiver.answer = async (_request, index) => {
    if (index === 0) await world.app.db.webhookEndpoint.update({ where: { id }, data: { leaseOwner: 'another' } });
    return { status: 200 };
  };
  const expired = new Date(Date.now() - 1000);
  const first = world.deliverer();
  await receiver.waitFor(1);
  await first.stop();
  expect(await world.log(id)).toEqual([]);
  await world.app.db.webhookEndpoint.update({ where: { id }, data: { leaseExpiresAt: expired } });
  world.deliverer();
  await receiver.waitFor(2);
  expect(receiver.messages(secret!).map(({ data }) => data.id)).toEqual([event, event]);
  await expect.poll(() => world.log(id)).toMatchObject([{ event_id: event, state: 'delivered', attempts: 1 }]);
});

test('many processes send to an endpoint one at a time, each event once', async () => {
  const receiver = await world.receiver();
  const { secret } = await world.endpoint(receiver.url, { event_types: ['job.*'] });
  const sent = await world.record(world.acme.id, job(60));
  for (let process = 0; process < 4; process++) world.deliverer();
  await receiver.waitFor(60);
  expect(receiver.messages(secret!).map(({ data }) => data.id)).toEqual(sent);
  expect(receiver.mostAtOnce).toBe(1);
});

test('10,000 events that wait for an endpoint which does not answer hold up nobody, and leave few rows', async () => {
  const [dead, live] = [await world.receiver(), await world.receiver()];
  dead.answer = () => null;
  const { id } = await world.endpoint(dead.url, { event_types: ['adapter.*'] });
  const [first] = await world.record(world.acme.id, ['adapter.created']);
  await world.app.db.$executeRaw`
    INSERT INTO events (id, tenant_id, type, subject_id, data)
    SELECT e.id || n, e.tenant_id, e.type, e.subject_id, e.data FROM events e, generate_series(2, 10000) n
    WHERE e.id = ${first}`;
  await untilReadable(world.app.db);
  const { secret } = await world.endpoint(live.url, { event_types: ['job.*'] });
  const others = await world.endpoint(live.url, { key: world.other.key, event_types: ['job.*'] });
  // The endpoint rests for long after twenty failures, a shortcut for its rest of minutes after a few more.
  const restMs = (failures: number): number => (failures < 20 ? 0 : LATER_MS);
  // Only the endpoint that does not answer gets such a short timeout: the others may be slow on a busy machine.
  const policy = createAddressPolicy(['127.0.0.1/32']);
  const [soon, late] = [createPost({ policy, timeoutMs: 100 }), createPost({ policy })];
  const post: Post = (request) => (request.url === dead.url ? soon : late)(request);
  world.deliverer({ post, schedule: { delaysMs: [LATER_MS], restMs } });
  await dead.waitFor(1);
  const sent = [...(await world.record(world.acme.id, job(30))), ...(await world.record(world.other.id, job(30)))];
  await live.waitFor(60);
  expect(live.received.map(({ headers }) => headers['webhook-id']).sort()).toEqual(sent.sort());
  expect(secret).not.toBe(others.secret);
  await expect.poll(() => world.get(id)).toMatchObject({ failures: 20 });
  expect(await world.log(id)).toMatchObject(
    Array.from({ length: 20 }, () => ({ state: 'pending', outcome: 'timeout', status_code: null })),
  );
  const { length } = dead.received;
  const further = await world.receiver();
  await world.endpoint(further.url, { event_types: ['job.*'] });
  await world.record(world.acme.id, job(1));
  await further.waitFor(1);
  expect(dead.received).toHaveLength(length);
});

test('a receiver that refuses all events of one type gets the others', async () => {
  const receiver = await world.receiver();
  receiver.answer = ({ body }) => ({ status: body.includes('"job.failed"') ? 500 : 200 });
  const { id, secret } = await world.endpoint(receiver.url, { event_types: ['job.*'] });
  await world.record(world.acme.id, job(30, 'job.failed'));
  const [ready] = await world.record(world.acme.id, job(1));
  world.deliverer({ schedule: { delaysMs: [LATER_MS], restMs: () => 0 } });
  await receiver.waitFor(31);
  expect(receiver.messages(secret!).at(-1)!.data.id).toBe(ready);
  await expect.poll(() => world.get(id)).toMatchObject({ failures: 0, enabled: true });
});

test.each([
  { waiting: 19, failures: 2, first: 'new' },
  { waiting: 20, failures: 2, first: 'due' },
  { waiting: 20, failures: 0, first: 'new' },
])(
  'of an endpoint with $failures failures in a row and $waiting events that are due, what is $first comes first',
  async ({ waiting, failures, first }) => {
    const receiver = await world.receiver();
    receiver.answer = () => ({ status: 500 });
    const { id } = await world.endpoint(receiver.url, { event_types: ['job.*'] });
    const due = await world.record(world.acme.id, job(waiting));
    const last = await world.app.db.event.findFirstOrThrow({ orderBy: { seq: 'desc' } });
    const position = { positionTransactionId: last.transactionId, positionSeq: last.seq };
    await world.app.db.webhookEndpoint.update({ where: { id }, data: { ...position, failures } });
    const now = new Date();
    const pending = { endpointId: id, tenantId: world.acme.id, eventType: 'job.ready', state: 'pending', attempts: 1 };
    await world.app.db.webhookDelivery.createMany({
      data: due.map((eventId) => {
        return { ...pending, id: newId('webhookDelivery'), eventId, nextAttemptAt: now, firstAttemptAt: now };
      }),
    });
    const [fresh] = await world.record(world.acme.id, job(1));
    world.deliverer({ schedule: { delaysMs: [LATER_MS, LATER_MS], restMs: () => LATER_MS } });
    await receiver.waitFor(1);
    const sent = String(receiver.received[0]!.headers['webhook-id']);
    expect(first === 'new' ? [fresh] : due).toContain(sent);
  },
);

test('events that were pruned before they could be sent are reported, and the rest is sent', async () => {
  const receiver = await world.receiver();
  const { id } = await world.endpoint(receiver.url, { event_types: ['job.*', 'webhook_endpoint.events_missed'] });
  await world.record(world.acme.id, job(3));
  const { transactionId, seq } = await world.app.db.event.findFirstOrThrow({ orderBy: { seq: 'desc' } });
  await world.app.db.event.deleteMany();
  const data = { eventsPrunedTransactionId: transactionId, eventsPrunedSeq: seq };
  await world.app.db.tenant.update({ where: { id: world.acme.id }, data });
  const [kept] = await world.record(world.acme.id, job(1));
  world.deliverer();
  await receiver.waitFor(2);
  const types = receiver.received.map(({ body }) => (JSON.parse(body) as { type: string }).type);
  expect(types).toEqual(['job.ready', 'webhook_endpoint.events_missed']);
  expect(receiver.received[0]!.headers['webhook-id']).toBe(kept);
  expect(JSON.parse(receiver.received[1]!.body)).toMatchObject({
    data: { subject_id: id, data: { pruned_up_to: `${transactionId}-${seq}` } },
  });
  await world.app.db.tenant.update({
    where: { id: world.acme.id },
    data: { eventsPrunedTransactionId: 0, eventsPrunedSeq: 0 },
  });
});

test('the metrics count attempts by what came of them', async () => {
  const receiver = await world.receiver();
  receiver.answer = (_request, index) => ({ status: index === 0 ? 302 : 200, headers: { location: receiver.url } });
  await world.endpoint(receiver.url, { event_types: ['job.*'] });
  const counted = async (outcome: string): Promise<number> => {
    const line = new RegExp(`^readapt_webhook_attempt_duration_seconds_count{outcome="${outcome}"} (\\d+)$`, 'm');
    return Number(line.exec(await world.metrics.metrics())?.[1] ?? 0);
  };
  const before = [await counted('refused'), await counted('delivered')];
  await world.record(world.acme.id, job(1));
  world.deliverer();
  await receiver.waitFor(2);
  await expect
    .poll(async () => [await counted('refused'), await counted('delivered')])
    .toEqual(before.map((n) => n + 1));
});

test('an endpoint that has come to rest, or whose tenant is gone, is not taken by who saw it before', async () => {
  const { db } = world.app;
  const { id: tenantId, key } = await createTestTenant(db, 'leaves');
  const { id } = await world.endpoint('https://hooks.example.com/', { key });
  const lease = { owner: 'this process', forMs: LATER_MS };
  const take = () => deliveryRepository.claim(db, id, lease);
  expect(await take()).toMatchObject({ id, tenantId });
  await deliveryRepository.release(db, id, lease, LATER_MS);
  expect(await take()).toBeNull();
  await db.webhookEndpoint.update({ where: { id }, data: { nextTurnAt: new Date(0) } });
  expect(await take()).toMatchObject({ id });
  await deliveryRepository.release(db, id, lease);
  await db.tenant.update({ where: { id: tenantId }, data: { deletedAt: new Date() } });
  expect(await take()).toBeNull();
});

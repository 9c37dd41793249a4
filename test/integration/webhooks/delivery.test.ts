import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createWebhookWorld, type WebhookWorld } from './webhook-world.ts';

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

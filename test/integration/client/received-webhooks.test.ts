import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { verifyWebhook, WebhookVerificationError } from '../../../openapi/clients/typescript/src/webhooks.ts';
import { createWebhookWorld, type WebhookWorld } from '../webhooks/webhook-world.ts';

let world: WebhookWorld;
beforeAll(async () => {
  world = await createWebhookWorld();
});
afterEach(() => world.reset());
afterAll(() => world.close());

test('what the service sends is verified, and nothing else', async () => {
  const receiver = await world.receiver();
  const { secret } = await world.endpoint(receiver.url, { event_types: ['job.ready'] });
  const [sent] = await world.record(world.acme.id, ['job.ready']);
  world.deliverer();
  await receiver.waitFor(1);
  const { headers, body } = receiver.received[0]!;
  expect(verifyWebhook(secret!, { headers, body })).toMatchObject({ type: 'job.ready', data: { id: sent } });
  const other = body.replace('job.ready', 'job.failed');
  expect(() => verifyWebhook(secret!, { headers, body: other })).toThrow(WebhookVerificationError);
});

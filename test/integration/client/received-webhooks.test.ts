import { readFile } from 'node:fs/promises';
import Schema from 'typebox/schema';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { verifyWebhook, WebhookVerificationError } from '../../../openapi/clients/typescript/src/webhooks.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { recordEvents } from '../../../src/delivery/events/index.ts';
import { untilReadable } from '../support/index.ts';
import { createWebhookWorld, type WebhookWorld } from '../webhooks/webhook-world.ts';

interface Declared {
  parameters: { name: string }[];
  requestBody: { content: Record<string, { schema: object }> };
}
interface Document {
  components: object;
  webhooks: Record<string, Record<string, Declared>>;
}

let world: WebhookWorld;
beforeAll(async () => {
  world = await createWebhookWorld();
});
afterEach(() => world.reset());
afterAll(() => world.close());

test('what the service sends is what the OpenAPI document declares under webhooks', async () => {
  const { webhooks, components } = JSON.parse(await readFile('openapi/openapi.json', 'utf8')) as Document;
  const { parameters, requestBody } = webhooks.event!.post!;
  const receiver = await world.receiver();
  await world.endpoint(receiver.url, { event_types: ['job.ready'] });
  const data = { rollout_id: newId('rollout'), adapter_id: newId('adapter'), kind: 'adaptation' } as const;
  await recordEvents(world.app.db, [{ tenantId: world.acme.id, type: 'job.ready', subjectId: newId('job'), data }]);
  world.deliverer();
  await receiver.waitFor(1);

  const { headers, body } = receiver.received[0]!;
  expect(Object.keys(headers)).toEqual(expect.arrayContaining(parameters.map(({ name }) => name)));
  const { schema } = requestBody.content[headers['content-type']!.split(';', 1)[0]!]!;
  const message = JSON.parse(body) as { data: object };
  const problems = (of: object, value: object) => Schema.Errors({ components, ...of }, value)[1];
  expect(problems(schema, message)).toEqual([]);
  // An event without its own schema would be an UnknownEvent.
  expect(problems({ $ref: '#/components/schemas/JobReadyEvent' }, message.data)).toEqual([]);
});

test('what the service sends is verified, and nothing else', async () => {
  const receiver = await world.receiver();
  // An endpoint also receives earlier events while an earlier transaction seems to run.
  await untilReadable(world.app.db);
  const { secret } = await world.endpoint(receiver.url, { event_types: ['job.ready'] });
  const [sent] = await world.record(world.acme.id, ['job.ready']);
  world.deliverer();
  await receiver.waitFor(1);
  const { headers, body } = receiver.received[0]!;
  expect(verifyWebhook(secret!, { headers, body })).toMatchObject({ type: 'job.ready', data: { id: sent } });
  const other = body.replace('job.ready', 'job.failed');
  expect(() => verifyWebhook(secret!, { headers, body: other })).toThrow(WebhookVerificationError);
});

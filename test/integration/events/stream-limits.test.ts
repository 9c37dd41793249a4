import { afterEach, expect, test } from 'vitest';
import { recordEvents } from '../../../src/delivery/events/index.ts';
import { eventually } from '../../eventually.ts';
import { createTestApp, createTestTenant, unknownEvent, untilReadable, type TestApp } from '../support/index.ts';
import { openStream, type StreamClient } from './event-stream-client.ts';

let app: TestApp;
afterEach(() => app.close());

const open = (key: string, path = '/v1/events/stream') => openStream(app.app, path, { key });

async function refusal(stream: StreamClient): Promise<unknown[]> {
  const { code, setting } = JSON.parse(await stream.text()) as { code: string; setting: string };
  return [stream.status, code, setting, stream.headers['retry-after']];
}

const STREAM_LIMITS =
  'a tenant has so many streams with all its keys, the service so many in all, and a closed one makes room';
test(STREAM_LIMITS, async () => {
  app = await createTestApp({ env: { READAPT_TENANT_EVENT_STREAMS: '2', READAPT_EVENT_STREAMS: '3' } });
  const tenant = await createTestTenant(app.db, 'acme');
  const streams = [await open(tenant.key), await open(tenant.key)];
  expect(await refusal(await open(tenant.key))).toEqual([
    429,
    'too_many_streams',
    'READAPT_TENANT_EVENT_STREAMS',
    '30',
  ]);
  streams.push(await open(app.operatorKey));
  const other = await createTestTenant(app.db, 'other');
  expect(await refusal(await open(other.key))).toEqual([429, 'too_many_streams', 'READAPT_EVENT_STREAMS', '30']);
  streams[0]!.cut();
  await eventually('a place', async () => (await open(other.key)).status === 200);
  // A request refused for another reason takes no slot.
  streams[1]!.cut();
  await streams[1]!.closed();
  for (let tries = 0; tries < 5; tries++) {
    expect((await open(tenant.key, '/v1/jobs/job_01900000-0000-7000-8000-000000000000/events/stream')).status).toBe(
      404,
    );
  }
  await eventually('a place', async () => (await open(tenant.key)).status === 200);
});

test('a service that stops ends streams, also those of clients that do not read', async () => {
  app = await createTestApp();
  const { id: tenantId, key } = await createTestTenant(app.db, 'acme');
  const data = { text: 'x'.repeat(20_000) };
  await recordEvents(
    app.db,
    Array.from({ length: 800 }, (_, n) => unknownEvent({ tenantId, subjectId: `${n}`, data })),
  );
  // A new stream starts after these events.
  await untilReadable(app.db);
  const waiting = await open(app.operatorKey);
  await waiting.nextBlock();
  const stalled = await open(key, '/v1/events/stream?after=0');
  await stalled.nextEvent();
  await app.app.close();
  let block = await waiting.nextBlock();
  while (block?.comment === 'heartbeat') block = await waiting.nextBlock();
  expect(block).toBeNull();
  await stalled.closed();
});

import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { Random } from '../../../core/statistics/random.ts';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { pruneLog, recordEvent, recordEvents } from '../../../src/delivery/events/index.ts';
import type { Event } from '../../../src/delivery/events/event.schemas.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { eventually } from '../../eventually.ts';
import {
  createTestApp,
  createTestKey,
  createTestTenant,
  unknownEvent,
  untilReadable,
  type TestApp,
} from '../support/index.ts';
import { openStream, type StreamClient } from './event-stream-client.ts';
import { happen, leftOpen, planFleet } from './support.ts';

/**
 * Idle time after which connections are closed. Waiting streams send three heartbeats in it, so they survive a busy
 * machine that stalls for two seconds.
 */
const IDLE_MS = 4500;

let app: TestApp;
let fleet: Fleet;
let opened: StreamClient[] = [];

beforeAll(async () => {
  app = await createTestApp({ env: { READAPT_IDLE_TIMEOUT_MS: String(IDLE_MS) } });
});
afterAll(() => app.close());
beforeEach(async () => {
  fleet = await createFleet(app.db, { tenants: 2, adapters: 4 });
  // A new stream starts after the events of the previous test.
  await untilReadable(app.db);
});
afterEach(async () => {
  for (const stream of opened) stream.cut();
  opened = [];
  await fleet.remove();
});

async function open(path: string, options: { key?: string; lastEventId?: string | null } = {}): Promise<StreamClient> {
  const stream = await openStream(app.app, path, { key: app.operatorKey, ...options });
  opened.push(stream);
  return stream;
}

async function take(stream: StreamClient, count: number): Promise<Event[]> {
  const events: Event[] = [];
  while (events.length < count) events.push(await stream.nextEvent());
  return events;
}

async function listed(path: string, key = app.operatorKey): Promise<Event[]> {
  await untilReadable(app.db);
  const answer = await app.request({ url: `${path}?limit=1000`, key });
  expect(answer.statusCode, answer.body).toBe(200);
  return answer.json<{ data: Event[] }>().data;
}

/** Checks that the next block is a heartbeat. */
async function expectHeartbeat(stream: StreamClient): Promise<void> {
  const block = await stream.nextBlock();
  expect(block).toMatchObject({ comment: 'heartbeat', data: null });
}

test('a stream begins now, shows each event as lists do, and says that it lives', async () => {
  await happen(app.db, 'before');
  await untilReadable(app.db);
  const stream = await open('/v1/events/stream');
  expect(stream.status).toBe(200);
  expect(stream.headers).toMatchObject({
    'content-type': 'text/event-stream',
    'cache-control': 'no-cache',
    'x-accel-buffering': 'no',
  });
  expect(await stream.nextBlock()).toMatchObject({ retry: '3000', id: expect.stringMatching(/^\d+-0$/), data: null });
  await happen(app.db, 'after', null, { text: 'line\nbreak' });
  let block = await stream.nextBlock();
  while (block?.comment === 'heartbeat') block = await stream.nextBlock();
  const [last] = (await listed('/v1/events')).slice(-1);
  expect(block).toMatchObject({ event: 'test.happened', id: last!.sequence, data: last });
  await expectHeartbeat(stream);
  expect(stream.lastEventId()).not.toBe(last!.sequence);
});

test('after=0 begins with the oldest event that is kept, and Last-Event-ID goes before after', async () => {
  for (const text of ['first', 'second', 'third']) await happen(app.db, text);
  const all = await listed('/v1/events');
  const [first, second] = await take(await open('/v1/events/stream?after=0'), 2);
  expect([first, second]).toEqual(all.slice(0, 2));
  const again = await open('/v1/events/stream?after=0', { lastEventId: second!.sequence });
  expect(await take(again, 1)).toEqual(all.slice(2, 3));
  expect((await open('/v1/events/stream', { lastEventId: 'x' })).status).toBe(400);
  expect((await open('/v1/events/stream?after=900000000000-1')).status).toBe(400);
  expect((await app.request({ method: 'HEAD', url: '/v1/events/stream' })).statusCode).toBe(405);
});

test('a client that has seen no event yet goes on where it has begun', async () => {
  const subject = newId('job');
  const first = await open('/v1/events/stream');
  await first.nextBlock();
  first.cut();
  await happen(app.db, subject);
  const second = await open('/v1/events/stream', { lastEventId: first.lastEventId() });
  expect((await second.nextEvent()).subject_id).toBe(subject);
});

test('an event that is committed late comes when nothing can come before it any more', async () => {
  const [early, late] = [newId('job'), newId('job')];
  const stream = await open('/v1/events/stream');
  await stream.nextBlock();
  const commit = await leftOpen(app.db, (tx) => recordEvent(tx, unknownEvent({ tenantId: null, subjectId: late })));
  await happen(app.db, early);
  // The first may come at any time, the second after several looks for new events.
  for (let waited = 0; waited < 2; waited++) await expectHeartbeat(stream);
  await commit();
  expect((await take(stream, 2)).map((event) => event.subject_id)).toEqual([late, early]);
});

test('a client whose connection is cut again and again sees each event once, in the order of commits', async () => {
  const random = Random.fromSeed(17);
  const [writers, rounds] = [6, 15];
  const { sequence: start } = (await listed('/v1/events')).at(-1)!;
  const end = newId('job');
  const writing = Array.from({ length: writers }, async (_, writer) => {
    for (let round = 0; round < rounds; round++) {
      const ms = random.integer(40);
      await withTransaction(app.db, async (tx) => {
        await recordEvent(tx, unknownEvent({ tenantId: null, subjectId: `${writer}`, data: { round } }));
        await sleep(ms);
        await recordEvent(tx, unknownEvent({ tenantId: null, subjectId: `${writer}`, data: { round } }));
      });
    }
  });
  const written = Promise.all(writing).then(() => happen(app.db, end));
  const seen: string[] = [];
  let connections = 0;
  let lastEventId: string | null = start;
  for (let isAtEnd = false; !isAtEnd;) {
    const stream: StreamClient = await open('/v1/events/stream?after=0', { lastEventId });
    connections += 1;
    for (let blocks = random.integer(12); blocks >= 0 && !isAtEnd; blocks--) {
      const block = await stream.nextBlock();
      if (block !== null && block.data !== null) seen.push(block.data.sequence);
      isAtEnd = block?.data?.subject_id === end;
    }
    lastEventId = stream.lastEventId();
    stream.cut();
  }
  await written;
  expect(connections).toBeGreaterThan(10);
  expect(seen).toHaveLength(writers * rounds * 2 + 1);
  await untilReadable(app.db);
  const all = await app.request({ url: `/v1/events?after=${start}&limit=1000` });
  expect(seen).toEqual(all.json<{ data: Event[] }>().data.map(({ sequence }) => sequence));
});

test('a rollout has its own events and those of its jobs, a job its own, and a tenant those of its jobs', async () => {
  const { rolloutId, jobIds } = await planFleet(app.db, fleet);
  const other = await createFleet(app.db, { tenants: 1, adapters: 1 });
  await planFleet(app.db, other);
  const [mine] = fleet.tenants;
  const key = await createTestKey(app.db, { tenantId: mine, scopes: ['tenant:read'] });
  const ownJobs = (await app.db.job.findMany({ where: { rolloutId, tenantId: mine } })).map(({ id }) => id).sort();

  const rollout = await listed(`/v1/rollouts/${rolloutId}/events`);
  expect(rollout.map(({ type }) => type)).toEqual([
    'rollout.accepted',
    'rollout.analyzing',
    ...jobIds.map(() => 'job.queued'),
    'rollout.adapting',
  ]);
  const ofTenant = await listed(`/v1/rollouts/${rolloutId}/events`, key);
  expect(ofTenant.map(({ subject_id: id }) => id).sort()).toEqual(ownJobs);
  const ofJob = await listed(`/v1/jobs/${ownJobs[0]}/events`, key);
  expect(ofJob).toEqual(ofTenant.filter(({ subject_id: id }) => id === ownJobs[0]));

  const streams = [
    { path: `/v1/rollouts/${rolloutId}`, key: app.operatorKey, events: rollout },
    { path: `/v1/rollouts/${rolloutId}`, key, events: ofTenant },
    { path: `/v1/jobs/${ownJobs[0]}`, key, events: ofJob },
  ];
  for (const { path, key: as, events } of streams) {
    const stream = await open(`${path}/events/stream?after=0`, { key: as });
    expect(await take(stream, events.length), path).toEqual(events);
  }
  const foreign = jobIds.find((id) => !ownJobs.includes(id))!;
  expect((await open(`/v1/jobs/${foreign}/events/stream`, { key })).status).toBe(404);
  expect((await open(`/v1/rollouts/${newId('rollout')}/events/stream`, { key })).status).toBe(404);
  await other.remove();
});

test('each of many streams gets what its tenant may see, and nothing else', async () => {
  const tenants = await Promise.all(['one', 'two'].map((name) => createTestTenant(app.db, `${name}-${newId('job')}`)));
  const keys = [app.operatorKey, ...tenants.map(({ key }) => key)];
  const streams = await Promise.all(
    keys.flatMap((key) => [open('/v1/events/stream', { key }), open('/v1/events/stream', { key })]),
  );
  for (const stream of streams) await stream.nextBlock();
  for (const { id } of tenants) await happen(app.db, `about ${id}`, id);
  await happen(app.db, 'about nobody');
  const about = tenants.map(({ id }) => `about ${id}`);
  const expected = [[...about, 'about nobody'], [about[0]], [about[1]]];
  for (const [index, stream] of streams.entries()) {
    const visible = expected[index >> 1]!;
    expect((await take(stream, visible.length)).map((event) => event.subject_id)).toEqual(visible);
    if (visible.length === 1) await expectHeartbeat(stream);
  }
});

test('a client that does not read is cut off, and goes on later', async () => {
  const text = 'x'.repeat(20_000);
  const { sequence: start } = (await listed('/v1/events')).at(-1)!;
  const events = Array.from({ length: 800 }, (_, n) =>
    unknownEvent({ tenantId: null, subjectId: `${n}`, data: { text } }),
  );
  await recordEvents(app.db, events);
  const connected = once(app.app.server, 'connection') as Promise<[Socket]>;
  const slow = await open('/v1/events/stream', { lastEventId: start });
  expect((await slow.nextEvent()).subject_id).toBe('0');
  const [connection] = await connected;
  expect(connection.timeout).toBe(IDLE_MS);
  // Shortens the wait now that the client has all that it will read.
  connection.setTimeout(100);
  await slow.closed();
  const again = await open('/v1/events/stream', { lastEventId: slow.lastEventId() });
  const rest = await take(again, events.length - 1);
  expect(rest.map(({ subject_id: id }) => id)).toEqual(events.slice(1).map(({ subjectId }) => subjectId));
});

test('a position before what was pruned is answered with 410', async () => {
  const [first] = await listed('/v1/events');
  await app.db.event.updateMany({ data: { occurredAt: new Date(Date.now() - 100 * 86_400_000) } });
  await happen(app.db, 'kept');
  await eventually('the old events to be pruned', async () => {
    await withTransaction(app.db, (tx) => pruneLog(tx, 'events', { days: 90, limit: 10_000 }));
    return (await app.db.event.count()) === 1;
  });
  const late = await open('/v1/events/stream', { lastEventId: first!.sequence });
  expect([late.status, JSON.parse(await late.text())]).toEqual([
    410,
    expect.objectContaining({ code: 'position_expired' }),
  ]);
  expect((await (await open('/v1/events/stream?after=0')).nextEvent()).subject_id).toBe('kept');
});

test('a stream ends when its key is revoked or expires', async () => {
  const { id: tenantId } = await createTestTenant(app.db, `ended-${newId('job')}`);
  const [expiring, revoked] = [await createTestKey(app.db, { tenantId }), await createTestKey(app.db, { tenantId })];
  const keys = await app.db.apiKey.findMany({ where: { tenantId } });
  const idOf = (key: string): string => keys.find(({ prefix }) => key.includes(prefix))!.id;
  const streams = [
    await open('/v1/events/stream', { key: expiring }),
    await open('/v1/events/stream', { key: revoked }),
  ];
  for (const stream of streams) await stream.nextBlock();
  const revocation = await app.request({ method: 'DELETE', url: `/v1/api-keys/${idOf(revoked)}` });
  expect(revocation.statusCode).toBe(204);
  // The event of the revocation belongs to the tenant.
  expect(await untilEnd(streams[1]!)).toEqual([]);
  expect((await streams[0]!.nextEvent()).type).toBe('api_key.revoked');
  await app.db.apiKey.update({ where: { id: idOf(expiring) }, data: { expiresAt: new Date() } });
  expect(await untilEnd(streams[0]!)).toEqual([]);
});

/** Types of the events until the stream ends. */
async function untilEnd(stream: StreamClient): Promise<string[]> {
  const types: string[] = [];
  for (let block = await stream.nextBlock(); block !== null; block = await stream.nextBlock())
    if (block.data !== null) types.push(block.data.type);
  return types;
}

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { withTransaction } from '../../../src/platform/database/database.ts';
import type { Event } from '../../../src/delivery/events/event.schemas.ts';
import { settleRollout } from '../../../src/fleet/rollouts/settlement.ts';
import { createRolloutLifecycle } from '../../../src/fleet/rollouts/index.ts';
import { timeProcessor } from '../../processor-time.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestKey, untilReadable } from '../support/index.ts';
import { createWebhookWorld, type WebhookWorld } from '../webhooks/webhook-world.ts';
import { openStream, type StreamClient } from './event-stream-client.ts';
import { planFleet } from './support.ts';

let world: WebhookWorld;
let fleet: Fleet;
let streams: StreamClient[] = [];
/** Keys of the fleet's two tenants and of a third one without an adapter in it. */
let keys: string[];
/** Event types of a rollout's end. */
const END = /^rollout\.(completed|failed|cancelled)$/;

beforeAll(async () => {
  world = await createWebhookWorld();
});
afterAll(() => world.close());
beforeEach(async () => {
  fleet = await createFleet(world.app.db, { tenants: 2, adapters: 6 });
  const own = await Promise.all(fleet.tenants.map((tenantId) => createTestKey(world.app.db, { tenantId })));
  keys = [...own, world.other.key];
});
afterEach(async () => {
  for (const stream of streams) stream.cut();
  streams = [];
  await world.reset();
  await fleet.remove();
});

async function open(path: string, key: string): Promise<StreamClient> {
  const stream = await openStream(world.app.app, path, { key });
  streams.push(stream);
  return stream;
}

async function endOn(stream: StreamClient): Promise<Event> {
  for (;;) {
    const event = await stream.nextEvent();
    if (END.test(event.type)) return event;
  }
}

async function endsIn(path: string, key: string): Promise<Event[]> {
  await untilReadable(world.app.db);
  const answer = await world.app.request({ url: `${path}limit=1000`, key });
  return answer.json<{ data: Event[] }>().data.filter(({ type }) => END.test(type));
}

async function complete(rolloutId: string): Promise<void> {
  const { db } = world.app;
  await db.job.updateMany({
    where: { rolloutId },
    data: { state: 'ready', finishedAt: new Date(), baselinesPending: false },
  });
  await withTransaction(db, (tx) => settleRollout(tx, rolloutId));
}

const END_HEARD_ONCE =
  'each tenant with jobs in a rollout hears once that it is completed, and so does the operator, and nobody else';
test(END_HEARD_ONCE, async () => {
  const { rolloutId } = await planFleet(world.app.db, fleet);
  const paths = [`/v1/rollouts/${rolloutId}/events/stream`, '/v1/events/stream'];
  const readers = [...fleet.tenants.map((tenantId, index) => ({ tenantId, key: keys[index]! }))];
  const all = [...readers, { tenantId: null, key: world.app.operatorKey }];
  const opened = await Promise.all(all.flatMap(({ key }) => paths.map((path) => open(path, key))));
  await complete(rolloutId);

  const shown = await Promise.all(opened.map(endOn));
  for (const [index, { tenantId, key }] of all.entries()) {
    const event = { type: 'rollout.completed', subject_id: rolloutId, tenant_id: tenantId, data: { from: 'adapting' } };
    expect(shown.slice(2 * index, 2 * index + 2)).toMatchObject([event, event]);
    for (const path of [`/v1/rollouts/${rolloutId}/events?`, '/v1/events?', `/v1/events?subject_id=${rolloutId}&`]) {
      expect(await endsIn(path, key), `${path} of ${tenantId}`).toEqual([shown[2 * index]]);
    }
  }
  expect(new Set(shown.map(({ id }) => id)).size).toBe(all.length);
  for (const path of [`/v1/rollouts/${rolloutId}/events?`, '/v1/events?'])
    expect(await endsIn(path, keys[2]!)).toEqual([]);
});

test('webhooks get it once, too: those of the tenants, and those of the operator', async () => {
  const { rolloutId } = await planFleet(world.app.db, fleet);
  const owners = [...keys, world.app.operatorKey];
  const receivers = await Promise.all(owners.map(() => world.receiver()));
  for (const [index, key] of owners.entries()) {
    await world.endpoint(receivers[index]!.url, { key, event_types: ['rollout.*'] });
  }
  world.deliverer();
  await complete(rolloutId);
  const listed = `/v1/rollouts/${rolloutId}/events?`;
  const ids = await Promise.all(owners.map(async (key) => (await endsIn(listed, key)).map(({ id }) => id)));
  expect(ids.map((of) => of.length)).toEqual([1, 1, 0, 1]);
  // Once a later event has arrived, none of these is still under way.
  const tenants = [...fleet.tenants, world.other.id, null];
  const later = await Promise.all(
    tenants.map(async (tenantId) => (await world.record(tenantId, ['rollout.paused']))[0]),
  );
  const arrived = () => receivers.map(({ received }) => received.map(({ headers }) => headers['webhook-id']));
  await expect.poll(() => arrived().map((of, index) => of.includes(later[index]))).toEqual([true, true, true, true]);
  const ended = receivers.map(({ received }) =>
    received
      .filter(({ body }) => END.test((JSON.parse(body) as Event).type) && body.includes(rolloutId))
      .map(({ headers }) => headers['webhook-id']),
  );
  expect(ended).toEqual(ids);
});

test('a tenant is told why a rollout has failed as the rollout says it, without what is for the operator', async () => {
  const { rolloutId } = await planFleet(world.app.db, fleet);
  await world.app.db.rollout.update({ where: { id: rolloutId }, data: { state: 'analyzing' } });
  const error = { code: 'internal_error', message: 'cannot read /srv/models/v2', detail: 'ENOENT: /srv/models/v2' };
  await createRolloutLifecycle({ db: world.app.db }).fail(rolloutId, error);
  const rollout = await world.app.request({ url: `/v1/rollouts/${rolloutId}`, key: keys[0]! });
  const [ofTenant] = await endsIn('/v1/events?', keys[0]!);
  expect(ofTenant).toMatchObject({ type: 'rollout.failed', data: { error: rollout.json<{ error: object }>().error } });
  expect(JSON.stringify(ofTenant)).not.toContain('/srv');
  expect(await endsIn(`/v1/rollouts/${rolloutId}/events?`, world.app.operatorKey)).toMatchObject([{ data: { error } }]);
});

test('a cancelled rollout tells those whose jobs were planned', async () => {
  const { rolloutId } = await planFleet(world.app.db, fleet);
  await world.send('POST', `/v1/rollouts/${rolloutId}/cancel`, undefined, world.app.operatorKey);
  const told = await Promise.all(keys.map((key) => endsIn(`/v1/rollouts/${rolloutId}/events?`, key)));
  const end = { type: 'rollout.cancelled', subject_id: rolloutId, data: { from: 'adapting' } };
  expect(told).toMatchObject([[end], [end], []]);
});

test('10,000 tenants are told in one statement, whose rows the readers of the operator pass once', async () => {
  const { db } = world.app;
  const { rolloutId } = await planFleet(db, fleet);
  await db.$executeRaw`INSERT INTO tenants (id, name) SELECT 'ten_many_' || n, 'many ' || n
    FROM generate_series(1, 10000) n`;
  await db.$executeRaw`
    INSERT INTO rollout_tenant_counts (rollout_id, tenant_id, kind, state, jobs, unfinished, baselines_pending)
    SELECT ${rolloutId}, id, 'adaptation', 'ready', 1, 0, 0 FROM tenants WHERE id LIKE 'ten_many_%'`;
  const { processorMs } = await timeProcessor(() => complete(rolloutId));
  expect(processorMs).toBeLessThan(1000);
  expect(await db.event.count({ where: { subjectId: rolloutId, type: 'rollout.completed', isCopy: true } })).toBe(
    10_002,
  );
  const last = await db.event.findFirstOrThrow({ orderBy: [{ transactionId: 'desc' }, { seq: 'desc' }] });
  expect(last).toMatchObject({ type: 'rollout.completed', tenantId: null, isCopy: false });
  expect(await endsIn(`/v1/rollouts/${rolloutId}/events?`, world.app.operatorKey)).toHaveLength(1);
  await db.$executeRaw`DELETE FROM events WHERE tenant_id LIKE 'ten_many_%'`;
  await db.$executeRaw`DELETE FROM tenants WHERE id LIKE 'ten_many_%'`;
});

import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import {
  cancelJob,
  cancelRollout,
  createApiKey,
  createTenant,
  followEvents,
  isProblem,
  items,
  JobNotReadyError,
  listJobs,
  listRolloutEvents,
  listTenants,
  pages,
  RolloutNotCompletedError,
  waitForJob,
  waitForRollout,
  WaitTimeoutError,
  type ReadaptClient,
  type Rollout,
  type WaitForRolloutOptions,
} from '../../../openapi/clients/typescript/src/index.ts';
import { planFleet } from '../events/support.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { untilReadable } from '../support/index.ts';
import { createClientWorld, type ClientWorld } from './client-world.ts';

let world: ClientWorld;
let fleet: Fleet;
let rolloutId: string;
let jobIds: string[];

beforeAll(async () => {
  world = await createClientWorld();
});
afterAll(() => world.close());
beforeEach(async () => {
  fleet = await createFleet(world.app.db, { tenants: 2, adapters: 5 });
  ({ rolloutId, jobIds } = await planFleet(world.app.db, fleet));
});
afterEach(() => fleet.remove());

/** Starts waiting for the rollout and returns after its current state was read. */
async function begun(client: ReadaptClient, options: Partial<WaitForRolloutOptions> = {}): Promise<[Promise<Rollout>]> {
  let onChange = (): void => undefined;
  const seen = new Promise<void>((resolve) => (onChange = resolve));
  const waiting = waitForRollout({ client, id: rolloutId, timeoutMs: 30_000, onChange, ...options });
  await Promise.race([seen, waiting]);
  return [waiting];
}

const cancelJobs = async (client: ReadaptClient): Promise<void> => {
  for (const id of jobIds) await cancelJob({ client, path: { id } });
};

const isStream = ({ url }: Request): boolean => url.includes('/events/stream');

test('reads a list page by page, and item by item', async () => {
  const client = world.client();
  const sizes: number[] = [];
  for await (const page of pages(listJobs, { client, query: { rollout_id: rolloutId, limit: 2 } })) {
    sizes.push(page.data.length);
  }
  expect(sizes).toEqual([2, 2, 1]);
  const ids: string[] = [];
  for await (const job of items(listJobs, { client, query: { rollout_id: rolloutId, limit: 2 } })) ids.push(job.id);
  expect(ids.sort()).toEqual([...jobIds].sort());
});

const UNTIL_COMPLETED =
  "waits for a rollout until it is completed: by stream, by poll, with a tenant's key, which gets no event of the " +
  'rollout but its end, and with the ETag where no stream can be had';
test(UNTIL_COMPLETED, async () => {
  const [streaming, polling] = [world.recorded(), world.recorded()];
  const body = { name: 'waits', tenant_id: fleet.tenants[0]!, scopes: ['tenant:read' as const] };
  const { key } = await createApiKey({ client: world.client(), body });
  const statuses: number[] = [];
  const withoutStream = world.client(undefined, {
    fetch: async (request, init) => {
      if (isStream(request as Request)) return new Response(null, { status: 503, headers: { 'retry-after': '60' } });
      const answer = await fetch(request, init);
      statuses.push(answer.status);
      return answer;
    },
  });
  const begin = [
    begun(streaming.client, { transport: 'stream' }),
    begun(polling.client, { transport: 'poll' }),
    begun(world.client(key!)),
    begun(withoutStream),
  ];
  const waiting = (await Promise.all(begin)).map(([rollout]) => rollout);
  await expect.poll(() => statuses).toContain(304);
  await cancelJobs(world.client());
  const [streamed, polled, ofTenant, withETag] = await Promise.all(waiting);
  for (const rollout of [streamed, polled]) {
    expect(rollout).toMatchObject({ id: rolloutId, state: 'completed', jobs: { cancelled: 5 } });
  }
  for (const rollout of [ofTenant, withETag]) expect(rollout).toMatchObject({ id: rolloutId, state: 'completed' });
  expect([streaming, polling].map(({ sent }) => sent.some(isStream))).toEqual([true, false]);
});

test('follows events once each and without a gap over a connection that is cut, and waits on', async () => {
  const { client, sent } = world.recorded();
  const waiter = world.recorded();
  const [waiting] = await begun(waiter.client);
  await expect.poll(() => waiter.sent.filter(isStream).length).toBe(1);
  const types: string[] = [];
  for await (const event of followEvents({ client, rolloutId, after: '0' })) {
    types.push(`${event.type} ${event.subject_id}`);
    if (event.type === 'rollout.completed') break;
    if (types.length !== 3) continue;
    world.relay.cut();
    await cancelJobs(world.client());
  }
  expect((await waiting).state).toBe('completed');
  // Another list may lag behind what a stream has already reported.
  await untilReadable(world.app.db);
  const listed: string[] = [];
  for await (const event of items(listRolloutEvents, { client, path: { id: rolloutId }, query: { limit: 4 } })) {
    listed.push(`${event.type} ${event.subject_id}`);
  }
  expect(types).toEqual(listed);
  const positions = sent.filter(isStream).map(({ headers }) => headers.get('last-event-id'));
  expect(positions).toEqual([null, expect.stringMatching(/^\d+-\d+$/)]);
});

test('repeats a request whose answer was lost, which takes effect once', async () => {
  const { client, sent } = world.recorded();
  await listTenants({ client });
  world.relay.cutAfter(0);
  const { id } = await createTenant({ client, body: { name: 'once' } });
  const created = sent.filter(({ method }) => method === 'POST');
  expect(created).toHaveLength(2);
  const named = [];
  for await (const tenant of items(listTenants, { client })) if (tenant.name === 'once') named.push(tenant.id);
  expect(named).toEqual([id]);
});

test('says what the service refuses, by its code', async () => {
  const client = world.client();
  const error = await createTenant({ client, body: { name: 'not a name!' } }).catch((caught: unknown) => caught);
  expect(isProblem(error, 'invalid_request')).toBe(true);
  expect(isProblem(error, 'forbidden')).toBe(false);
  expect(error).toMatchObject({ status: 400, problem: { errors: [{ in: 'body', field: 'name' }] } });
  await expect(followEvents({ client: world.client('rdp_unknown'), rolloutId }).next()).rejects.toMatchObject({
    code: 'unauthorized',
  });
});

test('says what a rollout and a job have come to that are not ready', async () => {
  const client = world.client();
  const job = waitForJob({ client, id: jobIds[0]! }).catch((error: unknown) => error);
  const rollout = waitForRollout({ client, id: rolloutId }).catch((error: unknown) => error);
  await cancelRollout({ client, path: { id: rolloutId } });
  expect(await job).toBeInstanceOf(JobNotReadyError);
  expect(await job).toMatchObject({ message: `job ${jobIds[0]} is cancelled`, job: { state: 'cancelled' } });
  expect(await rollout).toBeInstanceOf(RolloutNotCompletedError);
  expect(await rollout).toMatchObject({ rollout: { id: rolloutId, state: 'cancelled' } });
});

test('stops waiting after its time and by its signal', async () => {
  const client = world.client();
  const timeoutMs = 3_600_000;
  const timers = vi.spyOn(globalThis, 'setTimeout');
  const [waitingLong] = await begun(client, { timeoutMs });
  const [end] = timers.mock.calls.find(([, delayMs]) => delayMs === timeoutMs)!;
  timers.mockRestore();
  // Lets the time pass at once.
  end();
  const late = await waitingLong.catch((error: unknown) => error);
  expect(late).toBeInstanceOf(WaitTimeoutError);
  expect((late as WaitTimeoutError<Rollout>).last?.id).toBe(rolloutId);
  const stop = new AbortController();
  const waiting = waitForJob({ client, id: jobIds[0]!, signal: stop.signal, onChange: () => stop.abort('enough') });
  await expect(waiting).rejects.toBe('enough');
});

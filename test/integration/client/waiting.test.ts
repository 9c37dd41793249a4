import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  cancelJob,
  cancelRollout,
  items,
  JobNotReadyError,
  listJobs,
  pages,
  RolloutNotCompletedError,
  waitForJob,
  waitForRollout,
  WaitTimeoutError,
  type Rollout,
} from '../../../openapi/clients/typescript/src/index.ts';
import { planFleet } from '../events/support.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
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

/** A promise, and what resolves it when the wait has seen the resource for the first time. */
function firstSight(): { seen: Promise<void>; onChange: () => void } {
  let onChange = (): void => undefined;
  const seen = new Promise<void>((resolve) => (onChange = resolve));
  return { seen, onChange };
}

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

test.each(['stream', 'poll'] as const)('waits for a rollout by %s until it is completed', async (transport) => {
  const client = world.client();
  const { seen, onChange } = firstSight();
  const waiting = waitForRollout({ client, id: rolloutId, transport, timeoutMs: 30_000, onChange });
  await seen;
  for (const id of jobIds) await cancelJob({ client, path: { id } });
  expect(await waiting).toMatchObject({ id: rolloutId, state: 'completed', jobs: { cancelled: 5 } });
});

test('goes on when the connection is cut', async () => {
  const client = world.client();
  const { seen, onChange } = firstSight();
  const waiting = waitForRollout({ client, id: rolloutId, timeoutMs: 30_000, onChange });
  await seen;
  world.relay.cut();
  for (const id of jobIds) await cancelJob({ client, path: { id } });
  expect((await waiting).state).toBe('completed');
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
  const late = await waitForRollout({ client, id: rolloutId, timeoutMs: 300 }).catch((error: unknown) => error);
  expect(late).toBeInstanceOf(WaitTimeoutError);
  expect((late as WaitTimeoutError<Rollout>).last?.id).toBe(rolloutId);
  const stop = new AbortController();
  const waiting = waitForJob({ client, id: jobIds[0]!, signal: stop.signal, onChange: () => stop.abort('enough') });
  await expect(waiting).rejects.toBe('enough');
});

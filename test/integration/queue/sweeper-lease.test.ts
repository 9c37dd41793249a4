import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  createSweeper,
  giveUpLease,
  holdLease,
  renewLease,
  type RecoverySource,
} from '../../../src/platform/queue/index.ts';
import { eventually } from '../../eventually.ts';
import { createTestQueue, logger, type TestQueue } from './test-queue.ts';

/** Sweep interval in milliseconds. */
const INTERVAL_MS = 300;
/** Duration of a lease in milliseconds, which a process stalled for eight seconds on a busy machine keeps. */
const LEASE_MS = 9000;

let queue: TestQueue;
const started: { stop(): Promise<void> }[] = [];

beforeAll(async () => {
  queue = await createTestQueue();
});
afterEach(async () => {
  for (const one of started.splice(0)) await one.stop();
});
afterAll(() => queue.close());

/** Starts the sweeper of a process, and counts its sweeps. */
function start(times: { intervalMs: number; leaseMs?: number } = { intervalMs: INTERVAL_MS, leaseMs: LEASE_MS }) {
  const sweeps = { count: 0 };
  const source: RecoverySource = {
    queue: 'adaptations',
    expired: () => Promise.resolve([]),
    countLive: () => Promise.resolve(0),
    live: () => Promise.resolve([]),
    repair: () => {
      sweeps.count++;
      return Promise.resolve();
    },
  };
  const { producer, database } = queue;
  const sweeper = createSweeper({ db: database.db, producer, sources: [source], logger, ...times });
  sweeper.start();
  started.push(sweeper);
  return { sweeps, sweeper };
}

test('one of several processes sweeps, and another takes over when it stops', async () => {
  const all = [start(), start(), start(), start()];
  const working = () => all.filter(({ sweeps }) => sweeps.count > 0);
  await eventually('somebody has swept often', () => Promise.resolve(all.some(({ sweeps }) => sweeps.count >= 3)));
  expect(working()).toHaveLength(1);
  const [first] = working() as [(typeof all)[number]];
  const before = first.sweeps.count;
  await first.sweeper.stop();
  await eventually('another one has swept', () => Promise.resolve(working().length === 2));
  expect(first.sweeps.count).toBeLessThanOrEqual(before + 1);
});

test('a process that dies keeps the others from sweeping for three intervals at most', async () => {
  // It has no other to lose its lease to, so the interval may be short.
  const intervalMs = 400;
  const began = performance.now();
  await queue.database.db.$executeRaw`
    UPDATE process_leases SET owner = 'dead',
      expires_at = clock_timestamp() + make_interval(secs => ${(3 * intervalMs) / 1000}::float8)
    WHERE name = 'sweeper'`;
  const { sweeps } = start({ intervalMs });
  await eventually('it sweeps', () => Promise.resolve(sweeps.count > 0));
  expect(performance.now() - began).toBeGreaterThan(intervalMs);
});

test('a renewal that comes after the lease was given up leaves it to others', async () => {
  const { db } = queue.database;
  const lease = (owner: string) => ({ name: 'sweeper', owner, forMs: 60_000 }) as const;
  expect(await holdLease(db, lease('this process'))).toBe(true);
  expect(await renewLease(db, lease('this process'))).toBe(true);
  await giveUpLease(db, lease('this process'));
  expect(await renewLease(db, lease('this process'))).toBe(false);
  expect(await holdLease(db, lease('another'))).toBe(true);
  await giveUpLease(db, lease('another'));
});

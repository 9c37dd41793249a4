import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createSweeper, type RecoverySource } from '../../../src/jobs/index.ts';
import { eventually } from '../../eventually.ts';
import { createTestQueue, logger, type TestQueue } from './test-queue.ts';

const INTERVAL_MS = 100;

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
function start() {
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
  const sweeper = createSweeper({ db: database.db, producer, sources: [source], logger, intervalMs: INTERVAL_MS });
  sweeper.start();
  started.push(sweeper);
  return { sweeps, sweeper };
}

test('one of several processes sweeps, and another takes over when it stops', async () => {
  const all = [start(), start(), start(), start()];
  const working = () => all.filter(({ sweeps }) => sweeps.count > 0);
  await eventually('somebody has swept often', () => Promise.resolve(all.some(({ sweeps }) => sweeps.count >= 8)));
  expect(working()).toHaveLength(1);
  const [first] = working() as [(typeof all)[number]];
  const before = first.sweeps.count;
  await first.sweeper.stop();
  await eventually('another one has swept', () => Promise.resolve(working().length === 2));
  expect(first.sweeps.count).toBeLessThanOrEqual(before + 1);
});

test('a process that dies keeps the others from sweeping for three intervals at most', async () => {
  await queue.database.db.$executeRaw`
    UPDATE process_leases SET owner = 'dead', expires_at = clock_timestamp() + make_interval(secs => ${(3 * INTERVAL_MS) / 1000}::float8)
    WHERE name = 'sweeper'`;
  const began = performance.now();
  const { sweeps } = start();
  await eventually('it sweeps', () => Promise.resolve(sweeps.count > 0));
  expect(performance.now() - began).toBeGreaterThan(INTERVAL_MS);
});

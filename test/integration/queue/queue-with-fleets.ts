import { afterAll, afterEach, beforeAll } from 'vitest';
import { createFleet, type Fleet, type FleetSize } from './fleet.ts';
import { createTestQueue, type TestQueue } from './test-queue.ts';

export interface QueueWithFleets {
  /** There is one from the first `beforeAll` on. */
  readonly queue: TestQueue;
  /** Those of the running test. */
  readonly fleets: readonly Fleet[];
  /** Creates a fleet, which is removed after the test. */
  fleetOf(size: FleetSize): Promise<Fleet>;
}

/** A queue for all tests of a file. After each of them, fleets and rollouts are removed and the queues are emptied. */
export function useQueueWithFleets(): QueueWithFleets {
  const fleets: Fleet[] = [];
  let queue: TestQueue;
  beforeAll(async () => {
    queue = await createTestQueue();
  });
  afterEach(async () => {
    for (const fleet of fleets.splice(0)) await fleet.remove();
    await queue.database.db.rollout.deleteMany();
    await queue.clear();
  });
  afterAll(() => queue.close());
  return {
    fleets,
    get queue() {
      return queue;
    },
    async fleetOf(size) {
      const fleet = await createFleet(queue.database.db, size);
      fleets.push(fleet);
      return fleet;
    },
  };
}

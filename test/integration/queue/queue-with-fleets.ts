import { afterAll, afterEach, beforeAll } from 'vitest';
import { createFleet, type Fleet, type FleetSize } from './fleet.ts';
import { createTestQueue, type TestQueue } from './test-queue.ts';

export interface QueueWithFleets {
  /** Queue of the file, available from its first `beforeAll` on. */
  readonly queue: TestQueue;
  /** Fleets of the running test. */
  readonly fleets: readonly Fleet[];
  /** Creates a fleet that is removed after the test. */
  fleetOf(size: FleetSize): Promise<Fleet>;
}

/** Creates a queue for all tests of a file. After each test, fleets and rollouts are removed and the queues emptied. */
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

import type { Queue } from 'bullmq';
import {
  createQueueProducer,
  createQueueBackend,
  QUEUES,
  type QueueProducer,
  type QueueBackend,
} from '../../../src/platform/queue/index.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { createTestDatabase, startRedis, type TestDatabase } from '../support/index.ts';

export const logger = createLogger({ level: process.env.READAPT_TEST_LOG_LEVEL ?? 'silent', pretty: false });

/** Queue backend under test. CI runs these files once per backend. */
export const queueKind = process.env.READAPT_TEST_QUEUE ?? 'postgres';
if (queueKind !== 'postgres' && queueKind !== 'redis') {
  throw new Error(`READAPT_TEST_QUEUE is ${queueKind}, expected postgres or redis`);
}

export interface TestQueue {
  database: TestDatabase;
  backend: QueueBackend;
  producer: QueueProducer;
  /** URL of the Redis for `startWorker`; null if the queue is in PostgreSQL. */
  redisUrl: string | null;
  /** Empties the outbox and the queues. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

/** Creates a database with a queue, in that database or in a Redis started for it. */
export async function createTestQueue(): Promise<TestQueue> {
  const database = await createTestDatabase();
  const redis = queueKind === 'redis' ? await startRedis() : null;
  const backend = createQueueBackend({ databaseUrl: database.url, redisUrl: redis?.url ?? null });
  const producer = await createQueueProducer({ db: database.db, backend, logger });
  return {
    database,
    backend,
    producer,
    redisUrl: redis?.url ?? null,
    clear: async () => {
      await database.db.outboxEntry.deleteMany();
      for (const name of QUEUES) {
        const queue = backend.createQueue(name) as unknown as Queue;
        await queue.obliterate({ force: true });
        await queue.close();
      }
    },
    close: async () => {
      await producer.close();
      await redis?.stop();
      await database.close();
    },
  };
}

import type { Database } from '../database/database.ts';
import type { Logger } from '../../lib/logger.ts';
import { withTimeout } from '../../lib/timeout.ts';
import { QUEUE_STATES, type BackendQueue, type QueueBackend } from './backend.ts';
import { CATALOG, QUEUES, type QueueEntry, type QueueName } from './catalog.ts';
import { deleteFromOutbox } from './outbox.repository.ts';

/** Largest number of entries that one command adds to the queue. */
const BULK = 1000;
const REMOVED_AT_ONCE = 100;

export interface QueueProducer {
  /**
   * Enqueues entries that a committed transaction has written to the outbox. If the queue cannot be reached, logs a
   * warning and does not throw: the entries stay in the outbox, and the sweeper enqueues them.
   */
  enqueueAfterCommit(entries: readonly QueueEntry[]): Promise<void>;
  /** Enqueues entries in bulk. @throws Error if the queue does not answer in time */
  enqueue(entries: readonly QueueEntry[]): Promise<void>;
  /**
   * Tries to take waiting entries out of the queue. Entries that are running stay in the queue. A failure is only
   * logged.
   */
  remove(queue: QueueName, ids: readonly string[]): Promise<void>;
  /**
   * Gives a waiting entry another priority, and puts it ahead of all other entries with that priority. A failure is
   * only logged: the entry then runs at its old place.
   */
  bringForward(queue: QueueName, id: string, priority: number): Promise<void>;
  /** Counts the entries of the queue that wait, run or are to be retried. */
  count(queue: QueueName): Promise<number>;
  /** Counts the entries of the queue by state. @throws Error if the queue does not answer in time */
  countByState(queue: QueueName): Promise<Readonly<Record<string, number>>>;
  /** Waits until every queue has answered. @throws Error if one does not answer in time */
  check(): Promise<void>;
  close(): Promise<void>;
}

export interface ProducerOptions {
  db: Database;
  backend: QueueBackend;
  logger: Logger;
  /** Time after which a queue that does not answer counts as unreachable, in milliseconds (default 5,000). */
  timeoutMs?: number;
}

/** Creates the producer. @throws Error if a queue cannot be reached */
export async function createQueueProducer(options: ProducerOptions): Promise<QueueProducer> {
  const { db, backend, logger } = options;
  const timeoutMs = options.timeoutMs ?? 5000;
  const queues = new Map<QueueName, BackendQueue>();
  for (const name of QUEUES) {
    const queue = backend.createQueue(name);
    queue.on('error', (error) => logger.warn({ err: error, queue: name }, 'the connection to the queue failed'));
    queues.set(name, queue);
    await withTimeout(queue.waitUntilReady(), 30_000, `queue ${name}`);
  }
  const queueOf = (name: QueueName): BackendQueue => queues.get(name) as BackendQueue;

  const enqueue = async (entries: readonly QueueEntry[]): Promise<void> => {
    for (const [name, group] of byQueue(entries)) {
      for (let start = 0; start < group.length; start += BULK) {
        const chunk = group.slice(start, start + BULK);
        await withTimeout(queueOf(name).addBulk(chunk.map(toQueuedJob)), timeoutMs, `queue ${name}`);
        await deleteFromOutbox(db, chunk);
      }
    }
  };

  const countByState = (name: QueueName): Promise<Record<string, number>> =>
    withTimeout(queueOf(name).getJobCounts(...QUEUE_STATES), timeoutMs, `queue ${name}`);

  return {
    enqueue,
    countByState,
    enqueueAfterCommit: async (entries) => {
      await enqueue(entries).catch((error: unknown) => {
        logger.warn({ err: error, entries: entries.length }, 'jobs could not be enqueued: the sweeper will do it');
      });
    },
    remove: async (name, ids) => {
      for (let start = 0; start < ids.length; start += REMOVED_AT_ONCE) {
        const chunk = ids.slice(start, start + REMOVED_AT_ONCE);
        // An entry that a worker is running cannot be removed: the worker sees the change in its row.
        const removals = Promise.allSettled(chunk.map((id) => queueOf(name).remove(id, { removeChildren: false })));
        const done = await withTimeout(removals, timeoutMs, `queue ${name}`).catch((error: unknown) => {
          logger.warn(
            { err: error, queue: name, left: ids.length - start },
            'jobs could not be removed from the queue: workers will skip them',
          );
          return null;
        });
        if (done === null) return;
      }
    },
    bringForward: async (name, id, priority) => {
      const change = async () => (await queueOf(name).getJob(id))?.changePriority({ priority, lifo: true });
      await withTimeout(change(), timeoutMs, `queue ${name}`).catch((error: unknown) => {
        logger.warn({ err: error, queue: name, queueJobId: id }, 'a job could not be brought forward in the queue');
      });
    },
    count: async (name) => {
      const counts = await countByState(name);
      return Object.values(counts).reduce((sum, count) => sum + count, 0);
    },
    check: async () => {
      await Promise.all(
        [...queues].map(([name, queue]) => withTimeout(queue.getJobCounts('active'), timeoutMs, `queue ${name}`)),
      );
    },
    close: async () => {
      await Promise.all([...queues.values()].map((queue) => queue.close()));
    },
  };
}

function byQueue(entries: readonly QueueEntry[]): Map<QueueName, QueueEntry[]> {
  const groups = new Map<QueueName, QueueEntry[]>();
  for (const entry of entries) {
    const { queue } = CATALOG[entry.name];
    const group = groups.get(queue);
    if (group === undefined) groups.set(queue, [entry]);
    else group.push(entry);
  }
  return groups;
}

/**
 * Converts an entry to BullMQ's format. Entries that have ended are not kept in the queue, because the database records
 * them, and because BullMQ ignores a new entry whose id the queue still has: a failed entry could never be enqueued
 * again.
 */
function toQueuedJob(entry: QueueEntry) {
  const { attempts, backoff } = CATALOG[entry.name];
  return {
    name: entry.name,
    data: entry.payload,
    opts: {
      jobId: entry.id,
      attempts,
      backoff,
      removeOnComplete: true,
      removeOnFail: true,
      ...(entry.priority === undefined ? {} : { priority: entry.priority }),
    },
  };
}

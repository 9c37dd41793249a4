import type { Database } from '../lib/database.ts';
import type { Logger } from '../lib/logger.ts';
import { withTimeout } from '../lib/timeout.ts';
import type { JobQueue, QueueBackend } from './backend.ts';
import { CATALOG, QUEUES, type JobEntry, type QueueName } from './catalog.ts';
import { deleteFromOutbox } from './outbox.repository.ts';

/** Jobs added to the queue by one command. */
const BULK = 1000;
const REMOVED_AT_ONCE = 100;

export interface JobProducer {
  /**
   * Hands entries that were noted by `writeOutbox` in a committed transaction to the queue, in bulk. A queue that
   * cannot be reached is not the caller's error: the entries stay in the outbox, and the sweeper enqueues them.
   */
  enqueueAfterCommit(entries: readonly JobEntry[]): Promise<void>;
  /** Like `enqueueAfterCommit`, for who wants to know. @throws if the queue cannot be reached in time. */
  enqueue(entries: readonly JobEntry[]): Promise<void>;
  /** Takes waiting jobs out of the queue; what runs already runs on. Best effort. */
  remove(queue: QueueName, ids: readonly string[]): Promise<void>;
  /** Jobs that the queue holds: waiting, running or to be tried again. */
  count(queue: QueueName): Promise<number>;
  /** Resolves when every queue answers. @throws if one does not in time. */
  check(): Promise<void>;
  close(): Promise<void>;
}

export interface ProducerOptions {
  db: Database;
  backend: QueueBackend;
  logger: Logger;
  /** How long a command may take before the queue counts as unreachable (default 5,000 ms). */
  timeoutMs?: number;
}

/** @throws Error if the queue cannot be reached at the start. */
export async function createJobProducer(options: ProducerOptions): Promise<JobProducer> {
  const { db, backend, logger } = options;
  const timeoutMs = options.timeoutMs ?? 5000;
  const queues = new Map<QueueName, JobQueue>();
  for (const name of QUEUES) {
    const queue = backend.createQueue(name);
    queue.on('error', (error) => logger.warn({ err: error, queue: name }, 'queue connection'));
    queues.set(name, queue);
    await withTimeout(queue.waitUntilReady(), 30_000, `queue ${name}`);
  }
  const queueOf = (name: QueueName): JobQueue => queues.get(name) as JobQueue;

  const enqueue = async (entries: readonly JobEntry[]): Promise<void> => {
    for (const [name, group] of byQueue(entries)) {
      for (let start = 0; start < group.length; start += BULK) {
        const chunk = group.slice(start, start + BULK);
        await withTimeout(queueOf(name).addBulk(chunk.map(toQueuedJob)), timeoutMs, `queue ${name}`);
        await deleteFromOutbox(db, chunk);
      }
    }
  };

  return {
    enqueue,
    enqueueAfterCommit: async (entries) => {
      await enqueue(entries).catch((error: unknown) => {
        logger.warn({ err: error, entries: entries.length }, 'not enqueued; the sweeper will');
      });
    },
    remove: async (name, ids) => {
      for (let start = 0; start < ids.length; start += REMOVED_AT_ONCE) {
        const chunk = ids.slice(start, start + REMOVED_AT_ONCE);
        // What a worker holds is not removed: its row tells the worker.
        const removals = Promise.allSettled(chunk.map((id) => queueOf(name).remove(id)));
        const done = await withTimeout(removals, timeoutMs, `queue ${name}`).catch((error: unknown) => {
          logger.warn({ err: error, queue: name, left: ids.length - start }, 'not removed; workers will skip them');
          return null;
        });
        if (done === null) return;
      }
    },
    count: async (name) => {
      const counts = await queueOf(name).getJobCounts('waiting', 'active', 'delayed', 'prioritized', 'paused');
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

function byQueue(entries: readonly JobEntry[]): Map<QueueName, JobEntry[]> {
  const groups = new Map<QueueName, JobEntry[]>();
  for (const entry of entries) {
    const { queue } = CATALOG[entry.name];
    const group = groups.get(queue);
    if (group === undefined) groups.set(queue, [entry]);
    else group.push(entry);
  }
  return groups;
}

/**
 * The queue keeps nothing that has ended: the database is the record, and BullMQ ignores an add whose id it still
 * has, so a job that failed for good could never be enqueued again.
 */
function toQueuedJob(entry: JobEntry) {
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

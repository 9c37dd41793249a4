import { createPostgresBackend, Queue, Worker, type BulkJobOptions, type Processor, type WorkerOptions } from 'bullmq';
import { ABANDONED_MS } from '../database/database.ts';
import type { QueueName } from './catalog.ts';

interface QueuedJob {
  name: string;
  data: unknown;
  opts: BulkJobOptions;
}

/** Methods of BullMQ's queue that Readapt uses. The queues on Redis and on PostgreSQL both have them. */
export interface BackendQueue {
  addBulk(jobs: QueuedJob[]): Promise<unknown>;
  /**
   * Removes an entry that is not running, and resolves with the number of removed entries, which is 1 or 0.
   * `removeChildren` is false, because Readapt's entries have no child entries.
   */
  remove(jobId: string, options: { removeChildren: false }): Promise<number>;
  /** Finds an entry of the queue, to change its priority; undefined if the queue has no such entry. */
  getJob(
    jobId: string,
  ): Promise<{ changePriority(to: { priority: number; lifo: boolean }): Promise<void> } | undefined>;
  getJobCounts(...states: QueueState[]): Promise<Record<string, number>>;
  waitUntilReady(): Promise<unknown>;
  close(): Promise<void>;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/** Methods of BullMQ's worker that Readapt uses. */
export interface QueueWorker {
  waitUntilReady(): Promise<unknown>;
  cancelAllJobs(reason?: string): void;
  pause(doNotWaitActive?: boolean): Promise<void>;
  resume(): Promise<void>;
  isPaused(): boolean;
  close(force?: boolean): Promise<void>;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/** States in which an entry lies in a queue. */
export const QUEUE_STATES = ['waiting', 'active', 'delayed', 'prioritized', 'paused'] as const;
type QueueState = (typeof QUEUE_STATES)[number];
type WorkerTuning = Pick<
  WorkerOptions,
  'concurrency' | 'lockDuration' | 'stalledInterval' | 'maxStalledCount' | 'autorun'
>;

export interface QueueBackend {
  readonly kind: 'postgres' | 'redis';
  createQueue(name: QueueName): BackendQueue;
  createWorker(name: QueueName, processor: Processor, tuning: WorkerTuning): QueueWorker;
}

export interface QueueBackendOptions {
  databaseUrl: string;
  /** URL of the Redis that holds the queue; null keeps the queue in the database. */
  redisUrl: string | null;
  /** Prefix of the queue's keys in Redis (default `readapt`). */
  redisPrefix?: string;
}

/**
 * Creates the backend: BullMQ on Redis if a URL is given, and otherwise on PostgreSQL, in the schema `bullmq` of the
 * same database.
 */
export function createQueueBackend(options: QueueBackendOptions): QueueBackend {
  return options.redisUrl === null
    ? postgresBackend(options.databaseUrl)
    : redisBackend(options.redisUrl, options.redisPrefix ?? 'readapt');
}

function postgresBackend(connectionString: string): QueueBackend {
  const connection = {
    connectionString,
    migrate: true,
    // A queue runs one statement after the other. Its worker uses another connection to listen.
    max: 1,
    application_name: 'readapt-queue',
    idle_in_transaction_session_timeout: ABANDONED_MS,
    // A queue does not wait for the disk. PostgreSQL writes its log in order, so a crash of the server cannot lose an
    // entry that has left the outbox. If the crash loses the end of an entry, the entry is delivered again, and its
    // handler notices.
    options: '-c synchronous_commit=off',
  };
  return {
    kind: 'postgres',
    createQueue: (name) => new Queue(name, { connection }, createPostgresBackend) as BackendQueue,
    createWorker: (name, processor, tuning) =>
      new Worker(name, processor, { connection, ...tuning }, createPostgresBackend),
  };
}

function redisBackend(url: string, prefix: string): QueueBackend {
  return {
    kind: 'redis',
    createQueue: (name) => new Queue(name, { connection: { url }, prefix }) as BackendQueue,
    // Without a limit of retries, a worker waits until Redis is available again.
    createWorker: (name, processor, tuning) =>
      new Worker(name, processor, { connection: { url, maxRetriesPerRequest: null }, prefix, ...tuning }),
  };
}

import { randomUUID } from 'node:crypto';
import type { Database } from '../database/database.ts';
import type { Logger } from '../../lib/logger.ts';
import type { QueueEntry, QueueName } from './catalog.ts';
import { countPending, leftoverEntries } from './outbox.repository.ts';
import { giveUpLease, holdLease, renewLease, type ProcessLease } from './process-lease.repository.ts';
import type { QueueProducer } from './producer.ts';
import { setBackFutureTimes, type QueueClock } from './queue-clock.repository.ts';

/** Part of the service whose rows tell which entries should be in a queue, for example the jobs. */
export interface RecoverySource {
  readonly queue: QueueName;
  /** Lists the entries of rows whose worker has let its lease expire, and of rows that nobody else enqueues. */
  expired(limit: number): Promise<QueueEntry[]>;
  /** Counts the entries that should be in the queue. */
  countLive(): Promise<number>;
  /**
   * Lists a page of the entries that should be in the queue, in the order of the identifiers of their rows, after the
   * row `after`.
   */
  live(after: string, limit: number): Promise<{ readonly rowId: string; readonly entry: QueueEntry }[]>;
  /** Repairs whatever else an interrupted process may have left unfinished in the rows of this part of the service. */
  repair?(): Promise<void>;
}

export interface SweeperOptions {
  db: Database;
  producer: QueueProducer;
  sources: readonly RecoverySource[];
  logger: Logger;
  intervalMs?: number;
  /** Duration of the lease, in milliseconds: three intervals by default. */
  leaseMs?: number;
  /**
   * Age from which an outbox entry counts as missed, in milliseconds. The writer of a younger entry may be about to
   * enqueue it.
   */
  graceMs?: number;
  /** Limits for the repair of times in a queue in PostgreSQL; null for a queue in Redis (the default). */
  queueClock?: QueueClock | null;
  /** Called after each sweep that this process has made. */
  onSwept?: () => void;
}

export interface Sweeper {
  /**
   * Sweeps once, even if another process sweeps too.
   * @returns the number of enqueued entries
   * @throws Error if the database or the queue cannot be reached
   */
  sweep(): Promise<number>;
  /** Sweeps at every interval, unless another process does. */
  start(): void;
  stop(): Promise<void>;
}

const PAGE = 1000;

/**
 * Creates the sweeper, which enqueues entries that are missing because a process was interrupted or a queue has lost
 * its data. Of all processes that start a sweeper, only one sweeps at a time. This process holds a lease of three
 * intervals by default; if it dies, another process takes over.
 */
export function createSweeper(options: SweeperOptions): Sweeper {
  const { db, logger, intervalMs = 5000, leaseMs = 3 * intervalMs } = options;
  const lease: ProcessLease = { name: 'sweeper', owner: randomUUID(), forMs: leaseMs };
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<unknown> = Promise.resolve();

  const sweepInTurn = async (): Promise<number> => {
    if (!(await holdLease(db, lease))) return 0;
    const renewal = setInterval(() => void renewLease(db, lease).catch(() => undefined), intervalMs);
    try {
      const count = await sweepOnce(options);
      options.onSwept?.();
      return count;
    } finally {
      clearInterval(renewal);
    }
  };
  const tick = (): void => {
    running = sweepInTurn()
      .then((count) => {
        if (count > 0) logger.info({ count }, 'the sweeper enqueued missed jobs');
      })
      .catch((error: unknown) => logger.warn({ err: error }, 'the sweeper failed'))
      .finally(() => {
        if (timer !== undefined) timer = setTimeout(tick, intervalMs);
      });
  };
  return {
    sweep: () => sweepOnce(options),
    start: () => {
      timer ??= setTimeout(tick, 0);
    },
    stop: async () => {
      clearTimeout(timer);
      timer = undefined;
      await running;
      await giveUpLease(db, lease).catch((error: unknown) => {
        logger.warn(
          { err: error },
          'the lease of the sweep was not given up: another process sweeps when it has run out',
        );
      });
    },
  };
}

async function sweepOnce(options: SweeperOptions): Promise<number> {
  await repairTimes(options);
  let count = await sweepOutbox(options);
  const { producer, sources } = options;
  for (const source of sources) {
    await source.repair?.();
    const expired = await source.expired(PAGE);
    await producer.enqueue(expired);
    count += expired.length;
  }
  for (const queue of new Set(sources.map((source) => source.queue))) count += await sweepLost(options, queue);
  return count;
}

async function repairTimes({ db, logger, queueClock = null }: SweeperOptions): Promise<void> {
  if (queueClock === null) return;
  const count = await setBackFutureTimes(db, queueClock);
  if (count > 0) logger.warn({ count }, 'the sweeper set back times in the queue that a clock ahead had written');
}

async function sweepOutbox({ db, producer, graceMs = 2000 }: SweeperOptions): Promise<number> {
  let count = 0;
  for (;;) {
    const entries = await leftoverEntries(db, graceMs, PAGE);
    await producer.enqueue(entries);
    count += entries.length;
    if (entries.length < PAGE) return count;
  }
}

/**
 * Enqueues the entries that a queue has lost. If the queue has fewer entries than it should, all entries that it should
 * have are enqueued again. Those that it still has are ignored, so only the lost ones are restored.
 */
async function sweepLost({ producer, db, sources }: SweeperOptions, queue: QueueName): Promise<number> {
  const own = sources.filter((source) => source.queue === queue);
  const countLive = async (): Promise<number> => {
    let live = 0;
    for (const source of own) live += await source.countLive();
    return live;
  };
  const expected = await countLive();
  if (expected === 0) return 0;
  // An entry that is enqueued during these queries counts twice, and one that ends does not count as lost.
  const pending = await countPending(db, queue, expected);
  const held = await producer.count(queue);
  const live = await countLive();
  if (held + pending >= live) return 0;
  for (const source of own) await enqueueAll(producer, source);
  return live - held - pending;
}

async function enqueueAll(producer: QueueProducer, source: RecoverySource): Promise<void> {
  for (let after = ''; ;) {
    const page = await source.live(after, PAGE);
    await producer.enqueue(page.map(({ entry }) => entry));
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    after = last.rowId;
  }
}

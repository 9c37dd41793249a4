import type { Database } from '../lib/database.ts';
import type { Logger } from '../lib/logger.ts';
import type { JobEntry, QueueName } from './catalog.ts';
import { countPending, leftoverEntries } from './outbox.repository.ts';
import type { JobProducer } from './producer.ts';

/** What a module knows about jobs that the queue ought to hold. */
export interface RecoverySource {
  readonly queue: QueueName;
  /** Jobs whose worker has let its lease run out. */
  expired(limit: number): Promise<JobEntry[]>;
  /** How many jobs the queue ought to hold. */
  countLive(): Promise<number>;
  /** Those jobs by identifier, after the given one. */
  live(after: string, limit: number): Promise<JobEntry[]>;
  /** Anything else that an interrupted process may have left half done. */
  repair?(): Promise<void>;
}

export interface SweeperOptions {
  db: Database;
  producer: JobProducer;
  sources: readonly RecoverySource[];
  logger: Logger;
  intervalMs?: number;
  /** Age of an outbox entry before it counts as missed: its writer may be about to enqueue it. */
  graceMs?: number;
}

export interface Sweeper {
  /** One pass. @returns how many entries were enqueued. @throws if the database or the queue cannot be reached. */
  sweep(): Promise<number>;
  start(): void;
  stop(): Promise<void>;
}

const PAGE = 1000;

/** Enqueues what an interrupted process or a queue that lost its data left out. Safe to run in several processes. */
export function createSweeper(options: SweeperOptions): Sweeper {
  const { logger, intervalMs = 5000 } = options;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<unknown> = Promise.resolve();

  const tick = (): void => {
    running = sweepOnce(options)
      .then((count) => {
        if (count > 0) logger.info({ count }, 'sweeper enqueued jobs');
      })
      .catch((error: unknown) => logger.warn({ err: error }, 'sweep failed'))
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
    },
  };
}

async function sweepOnce(options: SweeperOptions): Promise<number> {
  let count = await sweepOutbox(options);
  for (const source of options.sources) {
    await source.repair?.();
    const expired = await source.expired(PAGE);
    await options.producer.enqueue(expired);
    count += expired.length + (await sweepLost(options, source));
  }
  return count;
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

/** When the queue holds fewer jobs than there are live rows, it has lost some: adding all again restores those alone. */
async function sweepLost({ producer, db }: SweeperOptions, source: RecoverySource): Promise<number> {
  const [held, pending] = await Promise.all([producer.count(source.queue), countPending(db, source.queue)]);
  const live = await source.countLive();
  if (held + pending >= live) return 0;
  for (let after = ''; ;) {
    const entries = await source.live(after, PAGE);
    await producer.enqueue(entries);
    const last = entries.at(-1);
    if (last === undefined || entries.length < PAGE) return live - held - pending;
    after = last.id;
  }
}

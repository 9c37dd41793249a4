import type { Queryable } from '../database/database.ts';
import { QUEUES } from './catalog.ts';

/** Limits that times in a queue cannot exceed if the clocks of all workers are right, in milliseconds. */
export interface QueueClock {
  /** Longest time for which a worker takes or renews the lock on an entry, in milliseconds. */
  readonly lockMs: number;
  /** Time by which a worker's clock may be ahead of the database's, in milliseconds. */
  readonly toleranceMs: number;
}

/**
 * Sets back times that a process whose clock is ahead has written into a queue in PostgreSQL, where BullMQ relies on
 * the clocks of its clients. Until such a time comes, nobody would look for entries whose worker has died (if it is the
 * time `stalled-check`), take the entry of a dead worker (if the entry's lock ends then), or run an entry that was put
 * off (if its delay ends then). Times are set back to what a process with the right clock could have written a moment
 * ago, so a living worker keeps its entry. A time that is too early needs no repair, because it only makes something
 * happen at once.
 *
 * The tables are those of BullMQ 6.7, whose last migration is `0011_obliterate_producer_lock`. `statement_timestamp()`
 * lets PostgreSQL use the indexes `job_active_idx` and `job_delayed_idx`.
 *
 * @returns the number of times that were set back
 */
export async function setBackFutureTimes(db: Queryable, { lockMs, toleranceMs }: QueueClock): Promise<number> {
  const queues = [...QUEUES];
  const checks = await db.$executeRaw`
    WITH clock AS (SELECT (extract(epoch FROM statement_timestamp()) * 1000)::bigint AS now)
    UPDATE bullmq.meta SET value = clock.now::text FROM clock
    WHERE queue = ANY(${queues}) AND field = 'stalled-check' AND value::bigint > clock.now + ${toleranceMs}::bigint`;
  const locks = await db.$executeRaw`
    WITH clock AS (SELECT (extract(epoch FROM statement_timestamp()) * 1000)::bigint AS now)
    UPDATE bullmq.job SET locked_until_ms = clock.now + ${lockMs}::bigint FROM clock
    WHERE queue = ANY(${queues}) AND state = 'active'
      AND locked_until_ms > clock.now + ${lockMs}::bigint + ${toleranceMs}::bigint`;
  // BullMQ writes `process_at_ms` as its client's time plus `delay_ms`.
  const delays = await db.$executeRaw`
    WITH clock AS (SELECT (extract(epoch FROM statement_timestamp()) * 1000)::bigint AS now)
    UPDATE bullmq.job SET process_at_ms = clock.now + delay_ms FROM clock
    WHERE queue = ANY(${queues}) AND state = 'delayed' AND process_at_ms > clock.now + ${toleranceMs}::bigint
      AND process_at_ms > clock.now + delay_ms + ${toleranceMs}::bigint`;
  return checks + locks + delays;
}

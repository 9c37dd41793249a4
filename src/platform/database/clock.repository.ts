import { compareClock, type ClockReading } from '../../lib/clock.ts';
import type { Queryable } from './database.ts';

/** Compares this process's clock with that of the database server. */
export async function readClock(db: Queryable): Promise<ClockReading> {
  const compare = compareClock();
  const [row] = await db.$queryRaw<[{ now: Date }]>`SELECT clock_timestamp() AS now`;
  return compare(row.now);
}

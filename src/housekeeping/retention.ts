import type { Database } from '../lib/database.ts';
import { pruneEvents } from '../modules/events/index.ts';
import type { HousekeepingTask } from './housekeeper.ts';
import { exclusively } from './housekeeping.repository.ts';
import { pruneMetricPoints } from './metric-retention.repository.ts';

/** Number of rows that one transaction looks at. */
const BATCH = 5000;

export interface RetentionOptions {
  db: Database;
  /** Number of days; null keeps everything. */
  eventRetentionDays: number | null;
  metricRetentionDays: number | null;
  batch?: number;
}

/** Prunes old events, and the metric points of jobs that ended long ago, in batches that each commit. */
export function retentionTasks(options: RetentionOptions): HousekeepingTask[] {
  const { db, eventRetentionDays, metricRetentionDays, batch = BATCH } = options;
  return [
    {
      name: 'retention of events',
      run: async (signal) => {
        let events = 0;
        while (eventRetentionDays !== null && !signal.aborted) {
          const removed = await exclusively(db, (tx) => pruneEvents(tx, { days: eventRetentionDays, limit: batch }));
          events += removed ?? 0;
          if (removed === null || removed < batch) break;
        }
        return { events };
      },
    },
    {
      name: 'retention of metric points',
      run: async (signal) => {
        let points = 0;
        let after: bigint | null = 0n;
        while (metricRetentionDays !== null && after !== null && !signal.aborted) {
          const days = metricRetentionDays;
          const from: bigint = after;
          const step = await exclusively(db, (tx) => pruneMetricPoints(tx, { days, after: from, limit: batch }));
          points += step?.removed ?? 0;
          after = step?.next ?? null;
        }
        return { metric_points: points };
      },
    },
  ];
}

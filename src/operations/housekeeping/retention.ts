import type { Database, Transaction } from '../../platform/database/database.ts';
import { pruneLog, type CommitLog } from '../../delivery/events/index.ts';
import type { HousekeepingTask } from './housekeeper.ts';
import { exclusively } from './housekeeping.repository.ts';
import { pruneDeviceUses, pruneMetricPoints, pruneWebhookDeliveries } from './retention.repository.ts';

/** Largest number of rows that one transaction examines. */
const BATCH = 5000;

export interface RetentionOptions {
  db: Database;
  /**
   * Number of days for which events are kept; null keeps them for ever. The other retention options have the same form.
   */
  eventRetentionDays: number | null;
  metricRetentionDays: number | null;
  auditRetentionDays: number | null;
  deviceUseRetentionDays: number | null;
  webhookRetentionDays: number | null;
  batch?: number;
}

/**
 * Creates the tasks that prune old events, audit entries, device uses and webhook deliveries, and the metric points of
 * jobs that ended long ago. They work in batches, each with a commit of its own.
 */
export function retentionTasks(options: RetentionOptions): HousekeepingTask[] {
  const { db, metricRetentionDays, batch = BATCH } = options;

  /**
   * Repeats a step until it removes fewer rows than a full batch, another process does housekeeping, or the task is
   * aborted. Does nothing if `days` is null.
   * @returns the number of removed rows
   */
  async function repeat(
    days: number | null,
    signal: AbortSignal,
    step: (tx: Transaction, query: { days: number; limit: number }) => Promise<number>,
  ): Promise<number> {
    let count = 0;
    while (days !== null && !signal.aborted) {
      const removed = await exclusively(db, (tx) => step(tx, { days, limit: batch }));
      count += removed ?? 0;
      if (removed === null || removed < batch) break;
    }
    return count;
  }

  const logTask = (log: CommitLog, name: string, days: number | null): HousekeepingTask => ({
    name: `retention of ${name}`,
    run: async (signal) => ({ [log]: await repeat(days, signal, (tx, query) => pruneLog(tx, log, query)) }),
  });

  async function pruneAllMetricPoints(signal: AbortSignal): Promise<number> {
    let points = 0;
    let after: bigint | null = 0n;
    while (metricRetentionDays !== null && after !== null && !signal.aborted) {
      const days = metricRetentionDays;
      const from: bigint = after;
      const step = await exclusively(db, (tx) => pruneMetricPoints(tx, { days, after: from, limit: batch }));
      points += step?.removed ?? 0;
      after = step?.next ?? null;
    }
    return points;
  }

  return [
    logTask('events', 'events', options.eventRetentionDays),
    {
      name: 'retention of metric points',
      run: async (signal) => ({ metric_points: await pruneAllMetricPoints(signal) }),
    },
    logTask('audit_entries', 'audit entries', options.auditRetentionDays),
    {
      name: 'retention of device uses',
      run: async (signal) => ({ device_uses: await repeat(options.deviceUseRetentionDays, signal, pruneDeviceUses) }),
    },
    {
      name: 'retention of webhook deliveries',
      run: async (signal) => ({
        webhook_deliveries: await repeat(options.webhookRetentionDays, signal, pruneWebhookDeliveries),
      }),
    },
  ];
}

import { days, integerBetween } from './kinds.ts';
import type { Settings } from './setting.ts';

const page = 'deployment.md#what-is-kept-and-for-how-long';
const readBy = 'worker';

/** Settings of the age at which workers remove old data; `off` keeps the data forever. */
export const RETENTION = {
  deletionGraceDays: {
    variable: 'READAPT_DELETION_GRACE_DAYS',
    kind: integerBetween({ min: 0, max: 3650, unit: 'days' }),
    default: '7',
    help: 'Days between a deletion and its collection.',
    page: 'security.md#deletion',
    readBy,
  },
  eventRetentionDays: {
    variable: 'READAPT_EVENT_RETENTION_DAYS',
    kind: days({ min: 1 }),
    default: '90',
    help: 'Retention of events, in days, or `off`.',
    page,
    readBy,
  },
  metricRetentionDays: {
    variable: 'READAPT_METRIC_RETENTION_DAYS',
    kind: days({ min: 1 }),
    default: '90',
    help: "Retention of a job's metric points after its end, in days, or `off`.",
    page,
    readBy,
  },
  auditRetentionDays: {
    variable: 'READAPT_AUDIT_RETENTION_DAYS',
    kind: days({ min: 1 }),
    default: '2557',
    help: 'Retention of audit entries, in days, or `off`; seven years by default.',
    page,
    readBy,
  },
  deviceUseRetentionDays: {
    variable: 'READAPT_DEVICE_USE_RETENTION_DAYS',
    // The monthly quota counts device uses, so a month of them is needed.
    kind: days({ min: 32 }),
    default: '400',
    help: 'Retention of device uses (which job held a device, and when) after their end, in days, or `off`.',
    page,
    readBy,
  },
  webhookRetentionDays: {
    variable: 'READAPT_WEBHOOK_RETENTION_DAYS',
    kind: days({ min: 4 }),
    default: '30',
    help: 'Retention of the log of webhook deliveries, in days, or `off`.',
    page,
    readBy,
  },
} satisfies Settings;

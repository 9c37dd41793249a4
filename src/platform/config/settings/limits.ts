import { integerBetween, orNull, size } from './kinds.ts';
import type { Settings } from './setting.ts';

/** Settings that limit requests, datasets, and the work that they cause. */
export const LIMITS = {
  bodyLimitBytes: {
    variable: 'READAPT_BODY_LIMIT_BYTES',
    kind: integerBetween({ min: 1024, max: 1 << 30, unit: 'bytes' }),
    default: '1048576',
    help: 'Largest JSON body, in bytes. Uploads have limits of their own.',
    readBy: 'api',
  },
  uploadLimitBytes: {
    variable: 'READAPT_UPLOAD_LIMIT_BYTES',
    kind: integerBetween({ min: 1024, max: 2 ** 50, unit: 'bytes' }),
    default: '4294967296',
    help: 'Largest uploaded dataset or archive, in bytes. The files of an adapter have further limits.',
    page: 'security.md#uploads',
    readBy: 'api',
  },
  datasetRowLimit: {
    variable: 'READAPT_DATASET_ROW_LIMIT',
    kind: integerBetween({ min: 1, max: 2 ** 31 - 1 }),
    default: '1000000',
    help: 'Largest number of rows of a dataset.',
    readBy: 'api',
  },
  measuredTokens: {
    variable: 'READAPT_MEASURED_TOKENS',
    kind: integerBetween({ min: 1000, max: 2 ** 31 - 1 }),
    default: '400000',
    help: 'Most tokens that measuring an adapter once on its gate rows may take; equal on all workers.',
    page: 'security.md#what-a-dataset-makes-workers-do',
    readBy: 'worker',
  },
  rateLimitPerMinute: {
    variable: 'READAPT_RATE_LIMIT_PER_MINUTE',
    kind: integerBetween({ min: 1 }),
    default: '60000',
    help:
      'Number of requests per minute that one tenant with all its keys, or one key of the operator, may make at all ' +
      'API processes together.',
    page: 'security.md#quotas-and-rates',
    readBy: 'api',
  },
  eventStreams: {
    variable: 'READAPT_EVENT_STREAMS',
    kind: integerBetween({ min: 1, max: 100_000 }),
    default: '1000',
    help: 'Streams of events that an API process keeps open.',
    page: 'events.md#lists-and-streams',
    readBy: 'api',
  },
  tenantEventStreams: {
    variable: 'READAPT_TENANT_EVENT_STREAMS',
    kind: integerBetween({ min: 1, max: 100_000 }),
    default: '50',
    help: 'Streams of events that an API process keeps open for one tenant, or for one key of the operator.',
    page: 'events.md#lists-and-streams',
    readBy: 'api',
  },
  inspections: {
    variable: 'READAPT_INSPECTIONS',
    kind: integerBetween({ min: 1, max: 64 }),
    default: '2',
    help: 'Number of uploaded adapters that an API process inspects at a time, each in a process of its own.',
    page: 'security.md#adapters',
    readBy: 'api',
  },
  inspectionMemoryBytes: {
    variable: 'READAPT_INSPECTION_MEMORY',
    kind: size({ min: 2 ** 27, example: '512MiB' }),
    default: '512MiB',
    help: 'Memory that an inspection may take.',
    readBy: 'api',
  },
  inspectionTimeoutMs: {
    variable: 'READAPT_INSPECTION_TIMEOUT_MS',
    kind: integerBetween({ min: 100, max: 3_600_000, unit: 'milliseconds' }),
    default: '60000',
    help: 'Time limit of an inspection, in milliseconds.',
    readBy: 'api',
  },
} satisfies Settings;

const ofTenant = { kind: orNull('none', integerBetween({ min: 0 })), page: 'security.md#quotas-and-rates' };

/**
 * Settings of the default quotas of a tenant; null means no limit. The operator may give each tenant limits of its own.
 */
export const QUOTAS = {
  adapters: { ...ofTenant, variable: 'READAPT_QUOTA_ADAPTERS', default: '10000', help: 'Adapters.' },
  stored_bytes: {
    ...ofTenant,
    variable: 'READAPT_QUOTA_STORED_BYTES',
    default: '274877906944',
    help: 'Bytes of datasets and adapter versions.',
  },
  dataset_rows: {
    ...ofTenant,
    variable: 'READAPT_QUOTA_DATASET_ROWS',
    default: '100000000',
    help: 'Rows of all datasets.',
  },
  queued_jobs: { ...ofTenant, variable: 'READAPT_QUOTA_QUEUED_JOBS', default: 'none', help: 'Jobs that wait or run.' },
  device_seconds: {
    ...ofTenant,
    variable: 'READAPT_QUOTA_DEVICE_SECONDS',
    default: 'none',
    help: 'Seconds a month for which jobs have held a device.',
  },
  api_keys: { ...ofTenant, variable: 'READAPT_QUOTA_API_KEYS', default: '100', help: 'API keys that can be used.' },
} satisfies Settings;

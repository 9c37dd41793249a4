import path from 'node:path';
import Type, { type Static } from 'typebox';
import { DEVICE_CHOICE_PATTERN, DEVICE_EXPECTED, type DeviceChoice } from '../../../core/options/devices.ts';
import { INT8_CACHE_GB, PRECISION_SETTINGS } from '../../../core/options/precisions.ts';
import { BASE_SCHEMA, BASE_SETTINGS } from './storage/base-settings.ts';
import { ORIGIN_PATTERN, ORIGINS_EXPECTED, parseOrigins } from './cors-origins.ts';
import { INT8_CACHE_VARIABLE } from './int8-cache-size.ts';
import { MEMORY_VARIABLE, parseMemory } from './memory-setting.ts';
import {
  APPROVAL_SECRET_PATTERN,
  APPROVAL_SECRETS_EXPECTED,
  KEYS_EXPECTED,
  parseApprovalSecrets,
  parseKeys,
  parseRanges,
  RANGE_PATTERN,
  RANGES_EXPECTED,
  SECRET_KEY_PATTERN,
} from './webhook-settings.ts';
import { CLOCK_TOLERANCE_VARIABLE } from '../../lib/clock.ts';
import {
  BODY_LIMIT_VARIABLE,
  UPLOAD_LIMIT_VARIABLE,
  ROW_LIMIT_VARIABLE,
  EVENT_RETENTION_VARIABLE,
  AUDIT_RETENTION_VARIABLE,
  API_CONNECTIONS_VARIABLE,
  WORKER_CONNECTIONS_VARIABLE,
  EVENT_STREAMS_VARIABLE,
  TENANT_EVENT_STREAMS_VARIABLE,
  SECRET_KEY_VARIABLE,
  WEBHOOK_RANGES_VARIABLE,
  REPLICA_RANGES_VARIABLE,
  APPROVAL_SECRET_VARIABLE,
  WORKER_METRICS_VARIABLE,
  ROW_SECURITY_VARIABLE,
  SERVING_FOLDER_VARIABLE,
  OTLP_ENDPOINT_VARIABLE,
} from './variables.ts';
import { STORAGE_SCHEMA, STORAGE_SETTINGS } from './storage/storage-settings.ts';
import { defaultGraphCacheDir, GRAPH_CACHE_VARIABLE, parseGraphCacheDir } from './graph-cache-dir.ts';

/** `auto` uses row-level security where it can and warns where it cannot; `required` refuses to start there. */
const ROW_SECURITY = ['auto', 'required'] as const;

/** The settings of a Readapt process. They are parsed once from the environment and passed on as an argument. */
export const ConfigSchema = Type.Object({
  host: Type.String({ minLength: 1 }),
  /** 0 chooses a free port. */
  port: Type.Integer({ minimum: 0, maximum: 65_535 }),
  /** Absolute path of the folder that holds the embedded database, artifacts and checkpoints. */
  dataDir: Type.String({ minLength: 1 }),
  /** URL of the PostgreSQL database; null starts the embedded one. */
  databaseUrl: Type.Union([Type.String({ pattern: '^postgres(ql)?://.+' }), Type.Null()]),
  /** URL of the Redis that holds the queue; null keeps the queue in PostgreSQL. */
  redisUrl: Type.Union([Type.String({ pattern: '^rediss?://.+' }), Type.Null()]),
  /** Absolute folders below which base models and adapters may be registered by path. */
  allowedRoots: Type.Array(Type.String()),
  /** Absolute path of the folder from which serving engines take adapters, which the API keeps; null keeps none. */
  servingFolder: Type.Union([Type.String({ minLength: 1 }), Type.Null()]),
  /** Time for which the API keeps a version in `servingFolder` that is no longer current, in milliseconds. */
  servingGraceMs: Type.Integer({ minimum: 0, maximum: 2_592_000_000 }),
  /** Largest JSON body in bytes. Uploads have their own limits. */
  bodyLimitBytes: Type.Integer({ minimum: 1024, maximum: 1 << 30 }),
  /** Largest uploaded dataset or archive in bytes. The files of an adapter have limits of their own besides. */
  uploadLimitBytes: Type.Integer({ minimum: 1024, maximum: 2 ** 50 }),
  /** Largest number of rows of a dataset. */
  datasetRowLimit: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 }),
  /** A connection without traffic is closed after this time, in milliseconds. */
  idleTimeoutMs: Type.Integer({ minimum: 1, maximum: 86_400_000 }),
  logLevel: Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const),
  /** The device that workers compute on; `auto` chooses CUDA if it works and the CPU otherwise. */
  device: Type.Unsafe<DeviceChoice>(Type.String({ pattern: DEVICE_CHOICE_PATTERN })),
  /** The precision in which the base's matrices are kept on the device. */
  precision: Type.Enum(PRECISION_SETTINGS),
  /** Absolute path of the folder of compiled graphs, which several services may share; null keeps no graphs. */
  graphCacheDir: Type.Union([Type.String({ minLength: 1 }), Type.Null()]),
  /** Largest size of all rounded matrices in that folder, in GiB; 0 keeps none. */
  int8CacheGb: Type.Integer({ minimum: 0, maximum: 999_999 }),
  /** Number of threads of the compiled runtime; null lets it choose. */
  threads: Type.Union([Type.Integer({ minimum: 1, maximum: 1024 }), Type.Null()]),
  /** Bytes that a worker's training process may take; null leaves it what the machine has. */
  memoryBytes: Type.Union([Type.Integer({ minimum: 2 ** 28 }), Type.Null()]),
  /** Most tokens of a tenant's rows that measuring an adapter once may take on a worker. */
  measuredTokens: Type.Integer({ minimum: 1000, maximum: 2 ** 31 - 1 }),
  /** Number of uploaded adapters that are inspected at a time, each in a process of its own. */
  inspections: Type.Integer({ minimum: 1, maximum: 64 }),
  /** Bytes that an inspection may take. */
  inspectionMemoryBytes: Type.Integer({ minimum: 2 ** 27 }),
  /** Time limit of an inspection, in milliseconds. */
  inspectionTimeoutMs: Type.Integer({ minimum: 100, maximum: 3_600_000 }),
  /** Whether the service starts where the database cannot confine tenants' requests by row-level security. */
  rowSecurity: Type.Enum(ROW_SECURITY),
  /** Number of requests per minute that one tenant, or one key of the operator, may make. */
  rateLimitPerMinute: Type.Integer({ minimum: 1 }),
  /** Origins whose scripts may use the API from a browser; none by default. */
  corsOrigins: Type.Array(Type.String({ pattern: ORIGIN_PATTERN }), { maxItems: 100 }),
  /**
   * Largest number of streams of events that an API process keeps open, and that of one tenant, or of one key of the
   * operator.
   */
  eventStreams: Type.Integer({ minimum: 1, maximum: 100_000 }),
  tenantEventStreams: Type.Integer({ minimum: 1, maximum: 100_000 }),
  /** Retention of events, in days; null keeps them forever. */
  eventRetentionDays: Type.Union([Type.Integer({ minimum: 1, maximum: 36_500 }), Type.Null()]),
  /** Days between a deletion and its collection. */
  deletionGraceDays: Type.Integer({ minimum: 0, maximum: 3650 }),
  /** Retention of a job's metric points after its end, in days; null keeps them forever. */
  metricRetentionDays: Type.Union([Type.Integer({ minimum: 1, maximum: 36_500 }), Type.Null()]),
  /** Retention of audit entries, in days; null keeps them forever. */
  auditRetentionDays: Type.Union([Type.Integer({ minimum: 1, maximum: 36_500 }), Type.Null()]),
  /** Retention of device uses after their end, in days; null keeps them forever. The monthly quota counts them. */
  deviceUseRetentionDays: Type.Union([Type.Integer({ minimum: 32, maximum: 36_500 }), Type.Null()]),
  /** Largest number of connections to PostgreSQL for the queries of an API process. */
  apiConnections: Type.Integer({ minimum: 1, maximum: 1000 }),
  /** Largest number of connections to PostgreSQL for the queries of a worker, which seldom runs two at a time. */
  workerConnections: Type.Integer({ minimum: 1, maximum: 1000 }),
  /** Keys of 32 bytes in base64 that encrypt stored secrets. The first one encrypts; the others only decrypt. */
  secretKeys: Type.Array(Type.String({ pattern: SECRET_KEY_PATTERN }), { maxItems: 10 }),
  /** Ranges of addresses, by CIDR, to which webhooks may go although they are not public, and without TLS. */
  webhookAllowedRanges: Type.Array(Type.String({ pattern: RANGE_PATTERN }), { maxItems: 1000 }),
  /** Ranges of addresses, by CIDR, where replicas of engines may be although they are not public, and without TLS. */
  replicaAllowedRanges: Type.Array(Type.String({ pattern: RANGE_PATTERN }), { maxItems: 1000 }),
  /** Secrets that sign the requests by which waves of rollouts are approved. */
  approvalSecrets: Type.Array(Type.String({ pattern: APPROVAL_SECRET_PATTERN }), { maxItems: 4 }),
  /** Retention of the webhook delivery log, in days; null keeps it forever. */
  webhookRetentionDays: Type.Union([Type.Integer({ minimum: 4, maximum: 36_500 }), Type.Null()]),
  /** Port on which a worker serves its metrics, at `host`; 0 chooses a free one, null serves none. */
  workerMetricsPort: Type.Union([Type.Integer({ minimum: 0, maximum: 65_535 }), Type.Null()]),
  /** Base URL of a collector that takes OTLP over HTTP; null traces nothing. */
  otlpEndpoint: Type.Union([Type.String({ pattern: '^https?://.+' }), Type.Null()]),
  /** Whether the API serves the dashboard at `/`. */
  dashboard: Type.Boolean(),
  ...BASE_SCHEMA,
  /** Largest accepted difference from the database's clock, in milliseconds. */
  clockToleranceMs: Type.Integer({ minimum: 100, maximum: 3_600_000 }),
  ...STORAGE_SCHEMA,
});

export type PlainConfig = Static<typeof ConfigSchema>;

interface Setting {
  variable: string;
  fallback: unknown;
  /** Turns the text into a value. Text that it cannot parse is returned unchanged, and the schema then refuses it. */
  parse: (text: string) => unknown;
  expected: string;
  /** The value is a URL that may hold a password, so messages must not repeat it. */
  secretUrl?: boolean;
  /** Messages must not repeat the value. */
  secret?: boolean;
}

/** `a, b or c` */
function anyOf(choices: readonly string[]): string {
  return `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`;
}

const asText = (text: string): unknown => text;
const asInteger = (text: string): unknown => (/^-?\d+$/.test(text) ? Number(text) : text);
const asDays = (text: string): unknown => (text === 'off' ? null : asInteger(text));
const SWITCH: Readonly<Record<string, boolean>> = { on: true, off: false };
const asSwitch = (text: string): unknown => SWITCH[text] ?? text;
const asFolder = (text: string): unknown => path.resolve(text);
const asFolders = (text: string): unknown =>
  text
    .split(path.delimiter)
    .filter((part) => part.trim() !== '')
    .map((part) => path.resolve(part));

/** A `#` or `/` in a password ends the address too early. */
const ENCODED = 'with special characters of the password percent-encoded';

export const SETTINGS: Readonly<Record<keyof PlainConfig, Setting>> = {
  host: { variable: 'READAPT_HOST', fallback: '127.0.0.1', parse: asText, expected: 'a host name or address' },
  port: { variable: 'READAPT_PORT', fallback: 8420, parse: asInteger, expected: 'an integer from 0 to 65535' },
  dataDir: { variable: 'READAPT_DATA_DIR', fallback: path.resolve('data'), parse: asFolder, expected: 'a folder' },
  databaseUrl: {
    variable: 'DATABASE_URL',
    fallback: null,
    parse: asText,
    expected: `postgresql://user:password@host:port/database, ${ENCODED}`,
    secretUrl: true,
  },
  redisUrl: {
    variable: 'REDIS_URL',
    fallback: null,
    parse: asText,
    expected: `redis://host:port or redis://user:password@host:port, ${ENCODED}`,
    secretUrl: true,
  },
  allowedRoots: {
    variable: 'READAPT_ALLOWED_ROOTS',
    fallback: [],
    parse: asFolders,
    expected: `folders separated by "${path.delimiter}"`,
  },
  servingFolder: { variable: SERVING_FOLDER_VARIABLE, fallback: null, parse: asFolder, expected: 'a folder' },
  servingGraceMs: {
    variable: 'READAPT_SERVING_GRACE_MS',
    fallback: 900_000,
    parse: asInteger,
    expected: 'an integer from 0 to 2592000000 (milliseconds)',
  },
  bodyLimitBytes: {
    variable: BODY_LIMIT_VARIABLE,
    fallback: 1 << 20,
    parse: asInteger,
    expected: 'an integer from 1024 to 1073741824 (bytes)',
  },
  uploadLimitBytes: {
    variable: UPLOAD_LIMIT_VARIABLE,
    fallback: 4 * 2 ** 30,
    parse: asInteger,
    expected: 'an integer from 1024 to 1125899906842624 (bytes)',
  },
  datasetRowLimit: {
    variable: ROW_LIMIT_VARIABLE,
    fallback: 1_000_000,
    parse: asInteger,
    expected: 'an integer from 1 to 2147483647',
  },
  idleTimeoutMs: {
    variable: 'READAPT_IDLE_TIMEOUT_MS',
    fallback: 600_000,
    parse: asInteger,
    expected: 'an integer from 1 to 86400000 (milliseconds)',
  },
  logLevel: {
    variable: 'READAPT_LOG_LEVEL',
    fallback: 'info',
    parse: asText,
    expected: 'trace, debug, info, warn, error, fatal or silent',
  },
  device: {
    variable: 'READAPT_DEVICE',
    fallback: 'auto',
    parse: asText,
    expected: `auto, ${DEVICE_EXPECTED}`,
  },
  precision: { variable: 'READAPT_PRECISION', fallback: 'auto', parse: asText, expected: anyOf(PRECISION_SETTINGS) },
  threads: {
    variable: 'READAPT_THREADS',
    fallback: null,
    parse: asInteger,
    expected: 'an integer from 1 to 1024',
  },
  graphCacheDir: {
    variable: GRAPH_CACHE_VARIABLE,
    fallback: defaultGraphCacheDir(process.env),
    parse: parseGraphCacheDir,
    expected: 'a folder, or off',
  },
  int8CacheGb: {
    variable: INT8_CACHE_VARIABLE,
    fallback: INT8_CACHE_GB,
    parse: asInteger,
    expected: 'an integer from 0 to 999999 (GiB)',
  },
  memoryBytes: {
    variable: MEMORY_VARIABLE,
    fallback: null,
    parse: parseMemory,
    expected: 'a size of at least 256MiB, such as 12GiB',
  },
  measuredTokens: {
    variable: 'READAPT_MEASURED_TOKENS',
    fallback: 400_000,
    parse: asInteger,
    expected: 'an integer from 1000 to 2147483647',
  },
  inspections: {
    variable: 'READAPT_INSPECTIONS',
    fallback: 2,
    parse: asInteger,
    expected: 'an integer from 1 to 64',
  },
  inspectionMemoryBytes: {
    variable: 'READAPT_INSPECTION_MEMORY',
    fallback: 2 ** 29,
    parse: parseMemory,
    expected: 'a size of at least 128MiB, such as 512MiB',
  },
  inspectionTimeoutMs: {
    variable: 'READAPT_INSPECTION_TIMEOUT_MS',
    fallback: 60_000,
    parse: asInteger,
    expected: 'an integer from 100 to 3600000 (milliseconds)',
  },
  rowSecurity: { variable: ROW_SECURITY_VARIABLE, fallback: 'auto', parse: asText, expected: 'auto or required' },
  rateLimitPerMinute: {
    variable: 'READAPT_RATE_LIMIT_PER_MINUTE',
    fallback: 60_000,
    parse: asInteger,
    expected: 'an integer of at least 1',
  },
  corsOrigins: { variable: 'READAPT_CORS_ORIGINS', fallback: [], parse: parseOrigins, expected: ORIGINS_EXPECTED },
  eventStreams: {
    variable: EVENT_STREAMS_VARIABLE,
    fallback: 1000,
    parse: asInteger,
    expected: 'an integer from 1 to 100000',
  },
  tenantEventStreams: {
    variable: TENANT_EVENT_STREAMS_VARIABLE,
    fallback: 50,
    parse: asInteger,
    expected: 'an integer from 1 to 100000',
  },
  eventRetentionDays: {
    variable: EVENT_RETENTION_VARIABLE,
    fallback: 90,
    parse: asDays,
    expected: 'an integer from 1 to 36500 (days), or off',
  },
  deletionGraceDays: {
    variable: 'READAPT_DELETION_GRACE_DAYS',
    fallback: 7,
    parse: asInteger,
    expected: 'an integer from 0 to 3650 (days)',
  },
  metricRetentionDays: {
    variable: 'READAPT_METRIC_RETENTION_DAYS',
    fallback: 90,
    parse: asDays,
    expected: 'an integer from 1 to 36500 (days), or off',
  },
  auditRetentionDays: {
    variable: AUDIT_RETENTION_VARIABLE,
    fallback: 2557,
    parse: asDays,
    expected: 'an integer from 1 to 36500 (days), or off',
  },
  deviceUseRetentionDays: {
    variable: 'READAPT_DEVICE_USE_RETENTION_DAYS',
    fallback: 400,
    parse: asDays,
    expected: 'an integer from 32 to 36500 (days), or off',
  },
  apiConnections: {
    variable: API_CONNECTIONS_VARIABLE,
    fallback: 10,
    parse: asInteger,
    expected: 'an integer from 1 to 1000',
  },
  workerConnections: {
    variable: WORKER_CONNECTIONS_VARIABLE,
    fallback: 1,
    parse: asInteger,
    expected: 'an integer from 1 to 1000',
  },
  secretKeys: { variable: SECRET_KEY_VARIABLE, fallback: [], parse: parseKeys, expected: KEYS_EXPECTED, secret: true },
  webhookAllowedRanges: {
    variable: WEBHOOK_RANGES_VARIABLE,
    fallback: [],
    parse: parseRanges,
    expected: RANGES_EXPECTED,
  },
  replicaAllowedRanges: {
    variable: REPLICA_RANGES_VARIABLE,
    fallback: [],
    parse: parseRanges,
    expected: RANGES_EXPECTED,
  },
  approvalSecrets: {
    variable: APPROVAL_SECRET_VARIABLE,
    fallback: [],
    parse: parseApprovalSecrets,
    expected: APPROVAL_SECRETS_EXPECTED,
    secret: true,
  },
  webhookRetentionDays: {
    variable: 'READAPT_WEBHOOK_RETENTION_DAYS',
    fallback: 30,
    parse: asDays,
    expected: 'an integer from 4 to 36500 (days), or off',
  },
  workerMetricsPort: {
    variable: WORKER_METRICS_VARIABLE,
    fallback: null,
    parse: asInteger,
    expected: 'an integer from 0 to 65535',
  },
  otlpEndpoint: {
    variable: OTLP_ENDPOINT_VARIABLE,
    fallback: null,
    parse: asText,
    expected: 'http://host:port or https://host:port',
    secretUrl: true,
  },
  dashboard: { variable: 'READAPT_DASHBOARD', fallback: true, parse: asSwitch, expected: 'on or off' },
  ...BASE_SETTINGS,
  // Locks of 15 s are renewed every 7.5 s: one holds where its worker's clock is 3 s behind and another's 3 s ahead.
  clockToleranceMs: {
    variable: CLOCK_TOLERANCE_VARIABLE,
    fallback: 3000,
    parse: asInteger,
    expected: 'an integer from 100 to 3600000 (milliseconds)',
  },
  ...STORAGE_SETTINGS,
};

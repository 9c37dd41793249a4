import { CLOCK_TOLERANCE_VARIABLE } from '../../../lib/clock.ts';
import { choice, folder, folders, integerBetween, list, onOff, text, url } from './kinds.ts';
import type { Settings } from './setting.ts';

/**
 * End of the error message about an invalid URL. An unencoded `#` or `/` in the password would end the host part of the
 * URL too early.
 */
const ENCODED = 'with special characters of the password percent-encoded';

/** Settings of a process's databases, address, logs and metrics. */
export const SERVICE = {
  databaseUrl: {
    variable: 'DATABASE_URL',
    kind: url(/^postgres(ql)?:\/\/.+/, `postgresql://user:password@host:port/database, ${ENCODED}`),
    default: null,
    unset: 'embedded PostgreSQL',
    help: 'URL of the PostgreSQL database.',
  },
  redisUrl: {
    variable: 'REDIS_URL',
    kind: url(/^rediss?:\/\/.+/, `redis://host:port or redis://user:password@host:port, ${ENCODED}`),
    default: null,
    unset: 'queue in PostgreSQL',
    help: 'URL of the Redis that holds the queue.',
  },
  host: {
    variable: 'READAPT_HOST',
    kind: text(/./, 'a host name or address'),
    default: '127.0.0.1',
    help: 'Address at which the API listens, and a worker for its metrics; in the image `0.0.0.0`.',
  },
  port: {
    variable: 'READAPT_PORT',
    kind: integerBetween({ min: 0, max: 65_535 }),
    default: '8420',
    help: 'Port of the API; 0 takes a free one, and in the image it is 8080.',
    readBy: 'api',
  },
  dataDir: {
    variable: 'READAPT_DATA_DIR',
    kind: folder(),
    default: './data',
    help: 'Folder of artifacts, checkpoints and the embedded database; in the image `/var/lib/readapt`.',
  },
  allowedRoots: {
    variable: 'READAPT_ALLOWED_ROOTS',
    kind: folders(),
    default: '',
    help: 'Folders below which base models and adapters may be registered by path.',
    readBy: 'api',
  },
  idleTimeoutMs: {
    variable: 'READAPT_IDLE_TIMEOUT_MS',
    kind: integerBetween({ min: 1, max: 86_400_000, unit: 'milliseconds' }),
    default: '600000',
    help: 'Time after which a connection without traffic is closed, in milliseconds.',
    readBy: 'api',
  },
  corsOrigins: {
    variable: 'READAPT_CORS_ORIGINS',
    kind: list({
      isItem: (item) => item === '*' || (/^https?:/.test(item) && URL.canParse(item) && new URL(item).origin === item),
      max: 100,
      expected: 'origins separated by ",", such as https://fleet.example.com,http://localhost:5173, or *',
    }),
    default: '',
    help: 'Origins whose scripts may use the API from a browser.',
    page: 'api.md#for-dashboards',
    readBy: 'api',
  },
  dashboard: {
    variable: 'READAPT_DASHBOARD',
    kind: onOff(),
    default: 'on',
    help: 'Whether the API serves the dashboard at `/`.',
    page: 'dashboard.md',
    readBy: 'api',
  },
  rowSecurity: {
    variable: 'READAPT_ROW_SECURITY',
    kind: choice(['auto', 'required']),
    default: 'auto',
    help:
      "`required` refuses to start where the database cannot confine tenants' requests by row-level security; " +
      '`auto` warns.',
    page: 'deployment.md#the-role-for-tenants',
    readBy: 'api',
  },
  apiConnections: {
    variable: 'READAPT_API_CONNECTIONS',
    kind: integerBetween({ min: 1, max: 1000 }),
    default: '10',
    help: 'Connections to PostgreSQL that an API process opens for its queries.',
    page: 'deployment.md#connections',
    readBy: 'api',
  },
  workerConnections: {
    variable: 'READAPT_WORKER_CONNECTIONS',
    kind: integerBetween({ min: 1, max: 1000 }),
    default: '1',
    help: 'Connections to PostgreSQL that a worker opens for its queries; it seldom runs two at a time.',
    page: 'deployment.md#connections',
    readBy: 'worker',
  },
  logLevel: {
    variable: 'READAPT_LOG_LEVEL',
    kind: choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
    default: 'info',
    help: 'Lowest level of the lines in the log.',
    page: 'deployment.md#health-metrics-and-logs',
  },
  workerMetricsPort: {
    variable: 'READAPT_WORKER_METRICS_PORT',
    kind: integerBetween({ min: 0, max: 65_535 }),
    default: null,
    help: 'Port on which a worker serves its metrics, at `READAPT_HOST`; 0 takes a free one.',
    page: 'operating.md#what-to-scrape',
    readBy: 'worker',
  },
  otlpEndpoint: {
    // The URL may contain a password, so processes pass it on only in their environment.
    variable: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    kind: url(/^https?:\/\/.+/, 'http://host:port or https://host:port'),
    default: null,
    help:
      'Collector to which APIs, workers and training processes send traces by OTLP over HTTP, such as ' +
      '`http://collector:4318`.',
    page: 'operating.md#traces',
  },
  clockToleranceMs: {
    variable: CLOCK_TOLERANCE_VARIABLE,
    kind: integerBetween({ min: 100, max: 3_600_000, unit: 'milliseconds' }),
    // Locks of 15 s are renewed every 7.5 s. A lock thus holds even if its worker's clock is 3 s behind and another
    // worker's 3 s ahead.
    default: '3000',
    help: "Largest accepted difference of the clock of an API or a worker from the database's, in milliseconds.",
    page: 'deployment.md#when-a-machine-fails',
  },
} satisfies Settings;

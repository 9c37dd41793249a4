/**
 * Default quotas of a tenant: the environment variable of each, and the value without it. A default of null is no
 * limit. The operator may give each tenant limits of its own.
 */
export const QUOTAS = {
  adapters: { variable: 'READAPT_QUOTA_ADAPTERS', fallback: 10_000 },
  stored_bytes: { variable: 'READAPT_QUOTA_STORED_BYTES', fallback: 256 * 2 ** 30 },
  dataset_rows: { variable: 'READAPT_QUOTA_DATASET_ROWS', fallback: 100_000_000 },
  queued_jobs: { variable: 'READAPT_QUOTA_QUEUED_JOBS', fallback: null },
  device_seconds: { variable: 'READAPT_QUOTA_DEVICE_SECONDS', fallback: null },
  api_keys: { variable: 'READAPT_QUOTA_API_KEYS', fallback: 100 },
} as const satisfies Record<string, { variable: string; fallback: number | null }>;

export type QuotaName = keyof typeof QUOTAS;

/** The limits of a tenant; null is no limit. */
export type QuotaLimits = Readonly<Record<QuotaName, number | null>>;

export const QUOTA_NAMES = Object.keys(QUOTAS) as QuotaName[];

export const NO_QUOTAS: QuotaLimits = {
  adapters: null,
  stored_bytes: null,
  dataset_rows: null,
  queued_jobs: null,
  device_seconds: null,
  api_keys: null,
};

/** The environment variables of the default limits. */
export const QUOTA_VARIABLES: readonly string[] = Object.values(QUOTAS).map(({ variable }) => variable);

const NO_LIMIT = 'none';

/** Reads the default limits. What cannot be used is added to `problems`, one line each. */
export function readQuotas(env: Readonly<Record<string, string | undefined>>, problems: string[]): QuotaLimits {
  const limits: Record<string, number | null> = {};
  for (const [name, { variable, fallback }] of Object.entries(QUOTAS)) {
    const text = env[variable]?.trim() ?? '';
    const isNumber = /^\d{1,16}$/.test(text) && Number.isSafeInteger(Number(text));
    limits[name] = text === '' ? fallback : isNumber ? Number(text) : null;
    if (text === '' || isNumber || text === NO_LIMIT) continue;
    problems.push(`${variable} is ${JSON.stringify(text)}, expected an integer of at least 0, or ${NO_LIMIT}`);
  }
  return Object.freeze(limits);
}

import { QUOTAS } from './settings/limits.ts';

export type QuotaName = keyof typeof QUOTAS;

/** Upper limits of a tenant, by the names of the quotas; null means no limit. */
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

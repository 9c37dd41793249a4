import type { QuotaName } from '../../platform/config/quotas.ts';
import { QUOTAS } from '../../platform/config/settings/limits.ts';
import { AppError } from '../../platform/contract/errors.ts';

const UNITS: Record<QuotaName, string> = {
  adapters: 'adapters',
  stored_bytes: 'bytes of datasets and adapters',
  dataset_rows: 'rows of datasets',
  queued_jobs: 'jobs that wait or run',
  device_seconds: 'device seconds in this month',
  api_keys: 'API keys',
};

const ADVICE: Record<QuotaName, string> = {
  adapters: 'ask the operator for a higher limit',
  stored_bytes: 'send less, or ask the operator for a higher limit',
  dataset_rows: 'send fewer rows, or ask the operator for a higher limit',
  queued_jobs: 'start another rollout when some have ended, or ask the operator for a higher limit',
  device_seconds: 'wait for the next month, or ask the operator for a higher limit',
  api_keys: 'revoke one that is not needed, or ask the operator for a higher limit',
};

/** Details about a quota that is used up, as an error shows them to clients. */
export interface ExceededQuota {
  readonly quota: QuotaName;
  readonly limit: number;
  /** Amount that the tenant uses already, without what the refused request would add. */
  readonly used: number;
  /** Name of the setting that holds the default limit; null if the operator has set a limit for this tenant. */
  readonly setting: string | null;
  /**
   * Time at which the usage restarts from zero; null if it does not restart, and only the tenant or the operator can
   * make room.
   */
  readonly resets_at: string | null;
  readonly message: string;
}

export interface Exceeding {
  name: QuotaName;
  limit: number;
  used: number;
  /** Amount that the refused request would add; undefined if it is not known. */
  wanted?: number;
  /** Whether the operator has set the exceeded limit for the tenant itself. */
  isOwn: boolean;
  resetsAt?: Date;
}

export function describeExceeding({ name, limit, used, wanted, isOwn, resetsAt }: Exceeding): ExceededQuota {
  const setting = isOwn ? null : QUOTAS[name].variable;
  const more = wanted === undefined ? '' : `, and ${wanted} more were asked for`;
  const source = setting === null ? 'set for this tenant' : setting;
  const reset = resetsAt === undefined ? '' : `, which begins at ${resetsAt.toISOString()}`;
  const advice = ADVICE[name].replace('the next month', `the next month${reset}`);
  return {
    quota: name,
    limit,
    used,
    setting,
    resets_at: resetsAt?.toISOString() ?? null,
    message: `the tenant has ${used} ${UNITS[name]}${more}, and may have ${limit} (${source}): ${advice}`,
  };
}

/**
 * Creates the error for an exceeded quota. Its status is 403, because a retry does not help until somebody makes room.
 */
export function quotaExceeded(exceeding: Exceeding): AppError {
  const { message, ...details } = describeExceeding(exceeding);
  return new AppError({ code: 'quota_exceeded', status: 403, message, details: { ...details } });
}

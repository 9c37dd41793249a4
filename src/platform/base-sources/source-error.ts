/**
 * Codes of the failures of a source. The value of each says whether another attempt may succeed: see {@link
 * SourceError.hope}.
 */
const KINDS = {
  /** The credentials of this process are missing or insufficient. */
  source_unauthorized: 'elsewhere',
  /** The source does not answer, or answers that it cannot do so now. */
  source_unreachable: 'later',
  /** The source does not have the repository, the bucket or the file. */
  source_not_found: 'never',
  /** The source no longer has the files that were pinned. */
  source_changed: 'never',
  /** The source sends different bytes than it announces. */
  source_corrupt: 'never',
  /**
   * The files of the source cannot be taken, or the source refuses the request. Tenants read the message, so it names
   * no setting.
   */
  source_refused: 'never',
  /** The files do not fit into the cache of this worker. */
  base_cache_too_small: 'elsewhere',
} as const;

/** HTTP statuses of temporary refusals: the request came too late, too early or too often. */
const PASSING: readonly number[] = [408, 425, 429];

/** Whether a source that answers with this HTTP status would refuse the same request again. */
export function isRefusal(status: number | null): boolean {
  return status !== null && status >= 300 && status < 500 && !PASSING.includes(status);
}

export type SourceErrorCode = keyof typeof KINDS;

/** Failure of a source. The message names the file, the problem and the remedy, and contains no secret. */
export class SourceError extends Error {
  readonly code: SourceErrorCode;
  /** Delay before the next request that the source asks for, in milliseconds; null if it asks for none. */
  readonly retryAfterMs: number | null;

  constructor(code: SourceErrorCode, message: string, options: { cause?: unknown; retryAfterMs?: number | null } = {}) {
    super(message, { cause: options.cause });
    this.name = 'SourceError';
    this.code = code;
    this.retryAfterMs = options.retryAfterMs ?? null;
  }

  /**
   * Prospect of another attempt. `later`: it may succeed soon. `elsewhere`: it cannot succeed on this machine as
   * configured. `never`: it cannot succeed with these files.
   */
  get hope(): 'later' | 'elsewhere' | 'never' {
    return KINDS[this.code];
  }
}

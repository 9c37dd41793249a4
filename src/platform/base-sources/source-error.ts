/**
 * Codes of the failures of a source. The value of each says whether another attempt may succeed: see {@link
 * SourceError.hope}.
 */
const KINDS = {
  /** Code for missing or insufficient credentials of this process. */
  source_unauthorized: 'elsewhere',
  /** Code for a source that does not answer, or that answers that it is unavailable at present. */
  source_unreachable: 'later',
  /** Code for a source that does not have the repository, the bucket or the file. */
  source_not_found: 'never',
  /** Code for a source that no longer has the files that were pinned. */
  source_changed: 'never',
  /** Code for a source that sends different bytes than it announces. */
  source_corrupt: 'never',
  /**
   * Code for a source whose files cannot be taken, or that refuses the request. Tenants read the message of this error,
   * so the message names no setting.
   */
  source_refused: 'never',
  /** Code for files that do not fit into the cache of this worker. */
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

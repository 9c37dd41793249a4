/** Codes of source errors, each with when another attempt may succeed; see {@link SourceError.hope}. */
const KINDS = {
  /** The credentials of this process are missing or are not enough. */
  source_unauthorized: 'elsewhere',
  /** The source does not answer, or says that it cannot now. */
  source_unreachable: 'later',
  /** The source does not have the repository, the bucket or the file. */
  source_not_found: 'never',
  /** The source has other files than those that were pinned. */
  source_changed: 'never',
  /** The source sends other bytes than it announces. */
  source_corrupt: 'never',
  /**
   * The files of the source are not of a kind that is taken, or it refuses the request. Tenants read the message, so it
   * names no setting.
   */
  source_refused: 'never',
  /** The files do not fit into the cache of this worker. */
  base_cache_too_small: 'elsewhere',
} as const;

/** Statuses of refusals that do not last: the request came too late, too early or too often. */
const PASSING: readonly number[] = [408, 425, 429];

/** Whether a source that answers so would refuse the same request again. */
export function isRefusal(status: number | null): boolean {
  return status !== null && status >= 300 && status < 500 && !PASSING.includes(status);
}

export type SourceErrorCode = keyof typeof KINDS;

/** A fault of a source. The message says which file, what is wrong and what to do, and holds no secret. */
export class SourceError extends Error {
  readonly code: SourceErrorCode;
  /** Delay that the source asks for before the next request, in milliseconds; null if it names none. */
  readonly retryAfterMs: number | null;

  constructor(code: SourceErrorCode, message: string, options: { cause?: unknown; retryAfterMs?: number | null } = {}) {
    super(message, { cause: options.cause });
    this.name = 'SourceError';
    this.code = code;
    this.retryAfterMs = options.retryAfterMs ?? null;
  }

  /**
   * `later`: the same may succeed soon. `elsewhere`: not on this machine as it is set up. `never`: not with these
   * files.
   */
  get hope(): 'later' | 'elsewhere' | 'never' {
    return KINDS[this.code];
  }
}

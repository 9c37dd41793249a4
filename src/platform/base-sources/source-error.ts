/** Codes of source errors, each with when another attempt may succeed; see {@link SourceError.hope}. */
const KINDS = {
  /** The credentials of this process are missing or are not enough. */
  source_unauthorized: 'elsewhere',
  /** It does not answer, or says that it cannot now. */
  source_unreachable: 'later',
  /** It does not have what is asked for. */
  source_not_found: 'never',
  /** It has other files than those that were pinned. */
  source_changed: 'never',
  /** It sends other bytes than it says. */
  source_corrupt: 'never',
  /**
   * Its files are none that are taken, or it refuses what it is asked. The message names no setting: tenants read it.
   */
  source_refused: 'never',
  /** They do not fit into the cache of this worker. */
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

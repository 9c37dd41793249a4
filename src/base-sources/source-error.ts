/** What can be wrong with a source, and what follows from it. */
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
  /** Its files are no base model, or none that is taken. */
  source_refused: 'never',
  /** They do not fit into the cache of this worker. */
  base_cache_too_small: 'elsewhere',
} as const;

export type SourceErrorCode = keyof typeof KINDS;

/** A fault of a source. The message says which file, what is wrong and what to do, and holds no secret. */
export class SourceError extends Error {
  readonly code: SourceErrorCode;
  /** How long the source wants to be left alone, in milliseconds; null if it does not say. */
  readonly retryAfterMs: number | null;

  constructor(code: SourceErrorCode, message: string, options: { cause?: unknown; retryAfterMs?: number | null } = {}) {
    super(message, { cause: options.cause });
    this.name = 'SourceError';
    this.code = code;
    this.retryAfterMs = options.retryAfterMs ?? null;
  }

  /** `later`: the same may succeed soon. `elsewhere`: not on this machine as it is set up. `never`: not with these files. */
  get hope(): 'later' | 'elsewhere' | 'never' {
    return KINDS[this.code];
  }
}

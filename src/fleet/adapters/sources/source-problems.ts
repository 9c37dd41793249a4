import type { SourceError } from '../../../platform/base-sources/index.ts';
import { sourceText, type RemoteSource, type SourceErrorCode } from '../../../platform/base-sources/index.ts';
import { SETTINGS } from '../../../platform/config/settings.ts';
import { AppError, unprocessable } from '../../../platform/contract/errors.ts';

/**
 * Messages for tenants whose source cannot be read, by error code. Only the operator sees the original message of the
 * error, because it names addresses and settings of the service.
 */
const REASONS: Readonly<Record<Exclude<SourceErrorCode, 'source_refused' | 'base_cache_too_small'>, string>> = {
  source_unauthorized:
    'the service may not read it, or it does not exist: give a token of the hub that may read it as ' +
    '`source.token`, or ask the operator',
  source_unreachable: 'the hub or the bucket does not answer, or limits requests: send the request again later',
  source_not_found: 'it does not exist: check its name, its revision or its prefix',
  source_changed: 'it was changed while it was read: send the request again',
  source_corrupt:
    'other bytes have arrived than it says, twice: ask the operator to check what is between the service and it',
};

interface Asked {
  readonly source: RemoteSource;
  /** Whether the caller is the operator, who may see the original message of the error. */
  readonly isOperator: boolean;
}

/** Translates the error of a source that cannot be read into a problem for the client. */
export function problemOfSource(error: SourceError, { source, isOperator }: Asked): AppError {
  const { code, message, retryAfterMs } = error;
  if (code === 'source_refused' || code === 'base_cache_too_small') return unprocessable('source_refused', message);
  const shown = isOperator ? message : `${sourceText(source)} cannot be imported: ${REASONS[code]}`;
  if (code !== 'source_unreachable') return new AppError({ code, status: 422, message: shown, cause: error });
  const details = retryAfterMs === null ? {} : { retry_after_ms: retryAfterMs };
  return new AppError({ code, status: 503, message: shown, details, cause: error });
}

/**
 * Creates the error for a source that READAPT_ADAPTER_SOURCES does not allow.
 *
 * @param repo new name of the repository, if the hub has renamed the requested one
 */
export function notAllowed(
  { source, repo }: Pick<Asked, 'source'> & { readonly repo?: string },
  places: readonly string[],
): AppError {
  const found =
    places.length === 0
      ? `${SETTINGS.adapterSources.variable} names no place`
      : `it lies below no place that ${SETTINGS.adapterSources.variable} names for this tenant`;
  const asked = repo === undefined ? sourceText(source) : `${sourceText(source)}, which is ${repo} now,`;
  return unprocessable('source_not_allowed', `source ${asked} is not allowed: ${found}`);
}

export function tooSlow({ source }: Pick<Asked, 'source'>, timeoutMs: number): AppError {
  const message =
    `${sourceText(source)} has not arrived within ${timeoutMs} ms (${SETTINGS.adapterFetchTimeoutMs.variable}): send ` +
    'the request again later, or upload the adapter';
  return new AppError({ code: 'source_unreachable', status: 503, message });
}

/** Creates the error that ends a fetch after the client has disconnected. No client gets it. */
export function clientGone({ source }: Pick<Asked, 'source'>): AppError {
  const message = `the client has gone before ${sourceText(source)} had arrived`;
  return new AppError({ code: 'upload_aborted', status: 400, message });
}

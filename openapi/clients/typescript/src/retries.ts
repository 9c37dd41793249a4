import { backoffMs, retryAfterMs, sleep, type Backoff } from './delays.ts';
import { ConnectionError } from './errors.ts';
import { fetchWhole } from './signals.ts';

export interface RetryOptions extends Backoff {
  /** Time after which no further attempt begins, in milliseconds. 0 disables retries. */
  readonly maxElapsedMs: number;
  /** Number of attempts that are made even after that time, unless retries are disabled (default 1). */
  readonly leastAttempts?: number;
}

export const DEFAULT_RETRIES: RetryOptions = { firstDelayMs: 300, maxDelayMs: 10_000, maxElapsedMs: 60_000 };

/** Statuses after which the same request may succeed. 502 and 504 come from proxies that cannot reach the service. */
const TRANSIENT_STATUSES = new Set([429, 503, 502, 504]);
export const isTransientStatus = (status: number): boolean => TRANSIENT_STATUSES.has(status);
/** Codes of problems with a transient status that only the operator of the service can mend. */
const PERMANENT_CODES = new Set(['secret_key_missing', 'approval_secret_missing']);

/**
 * Creates a `fetch` that repeats a request after a network fault, after 429, 502, 503 and 504, and while an earlier
 * attempt with the same idempotency key is still being handled. A POST gets an `Idempotency-Key` that all its attempts
 * share, so that it takes effect once; requests with other methods may be repeated unchanged.
 * @param copyFor creates the request of an attempt, because a body can be read only once
 */
export function retryingFetch(
  fetchOnce: typeof fetch,
  options: RetryOptions,
  copyFor = (request: Request): Request => request.clone(),
): typeof fetch {
  const { maxElapsedMs } = options;
  const least = maxElapsedMs === 0 ? 1 : (options.leastAttempts ?? 1);
  return async (input, init) => {
    // A copy is aborted with its original only while the original is referenced, so the original is used where
    // possible.
    const request = input instanceof Request && init === undefined ? input : new Request(input, init);
    if (request.method === 'POST' && !request.headers.has('idempotency-key')) {
      request.headers.set('idempotency-key', randomKey());
    }
    const started = Date.now();
    for (let attempts = 1; ; attempts++) {
      const outcome = await attempt(() => fetchWhole(fetchOnce, request, copyFor(request)), request.signal);
      if ('response' in outcome && !(await isTransient(outcome.response))) return outcome.response;
      const delayMs = delayAfter(outcome, options, attempts);
      if (attempts >= least && Date.now() + delayMs - started >= maxElapsedMs) {
        if ('response' in outcome) return outcome.response;
        throw new ConnectionError(request, attempts, outcome.fault);
      }
      await sleep(delayMs, request.signal);
    }
  };
}

/** Creates a unique key. `crypto.randomUUID` is missing on pages that were loaded by plain HTTP. */
export function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

type Outcome = { readonly response: Response } | { readonly fault: unknown };

async function attempt(send: () => Promise<Response>, signal: AbortSignal): Promise<Outcome> {
  try {
    return { response: await withWholeJson(await send()) };
  } catch (fault) {
    signal.throwIfAborted();
    return { fault };
  }
}

/** Reads JSON to its end, so that a connection that is cut in the middle counts as a fault. */
async function withWholeJson(response: Response): Promise<Response> {
  if (!/json$/.test(response.headers.get('content-type')?.split(';')[0] ?? '')) return response;
  const { status, statusText, headers } = response;
  return new Response(await response.text(), { status, statusText, headers });
}

async function isTransient(response: Response): Promise<boolean> {
  const inProgress = response.status === 409 && response.headers.has('retry-after');
  if (!inProgress && !isTransientStatus(response.status)) return false;
  const problem = (await response
    .clone()
    .json()
    .catch(() => null)) as { code?: string } | null;
  return problem?.code === undefined || !PERMANENT_CODES.has(problem.code);
}

function delayAfter(outcome: Outcome, options: RetryOptions, attempts: number): number {
  const asked = 'response' in outcome ? retryAfterMs(outcome.response) : null;
  return asked === null ? backoffMs(options, attempts) : asked + backoffMs(options, 1);
}

/**
 * Waits for `ms` milliseconds.
 * @throws the signal's reason, as soon as it is aborted
 */
export function sleep(ms: number, signal?: AbortSignal | null): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    const end = (): void => {
      clearTimeout(timer);
      reject(signal!.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', end);
      resolve();
    }, ms);
    signal?.addEventListener('abort', end, { once: true });
  });
}

export interface Backoff {
  /** Longest first delay, in milliseconds. The limit doubles with each further delay. */
  readonly firstDelayMs: number;
  /** Longest delay of all, in milliseconds. */
  readonly maxDelayMs: number;
}

/**
 * Delay before another attempt, in milliseconds: exponential backoff with jitter, between half of the limit and all of
 * it, so that clients which were interrupted together do not come back together.
 * @param failures number of failed attempts, from 1
 */
export function backoffMs({ firstDelayMs, maxDelayMs }: Backoff, failures: number): number {
  const longest = Math.min(maxDelayMs, firstDelayMs * 2 ** (failures - 1));
  return longest * (0.5 + Math.random() / 2);
}

/** Delay that the `Retry-After` header asks for, in milliseconds; null without the header. */
export function retryAfterMs(response: Response): number | null {
  const value = response.headers.get('retry-after');
  if (value === null) return null;
  const seconds = Number(value);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}

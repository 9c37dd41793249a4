import { AsyncLocalStorage } from 'node:async_hooks';

const current = new AsyncLocalStorage<string | null>();

/**
 * Runs `work`, and all that it begins, as a part of a span. Where nothing is traced, nothing is remembered either,
 * which would slow down every promise of the process.
 */
export function withTraceparent<T>(traceparent: string | null, work: () => T): T {
  return traceparent === null ? work() : current.run(traceparent, work);
}

/** The span that the running code is a part of; null where nothing is traced. */
export const currentTraceparent = (): string | null => current.getStore() ?? null;

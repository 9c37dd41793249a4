import { AsyncLocalStorage } from 'node:async_hooks';

const current = new AsyncLocalStorage<string | null>();

/**
 * Runs `work`, and everything that it starts, as part of a span. Without tracing, nothing is stored, because the
 * storage would slow down every promise of the process.
 */
export function withTraceparent<T>(traceparent: string | null, work: () => T): T {
  return traceparent === null ? work() : current.run(traceparent, work);
}

/** Returns the `traceparent` of the span that the running code is part of; null without tracing. */
export const currentTraceparent = (): string | null => current.getStore() ?? null;

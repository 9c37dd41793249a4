import { useQueryClient, type QueryKey } from '@tanstack/react-query';
import { useEffect, useRef } from 'react';

/** Factor by which the polling interval grows while the browser's tab is hidden. */
const HIDDEN_FACTOR = 10;

interface Polling<T> {
  /** Polling interval in milliseconds while the tab is visible, or a function that chooses it by the last answer. */
  readonly every: number | ((data: T | undefined) => number);
  /**
   * Stops the polling when it returns true. `readAt` is the time of the answer, in milliseconds by the browser's clock.
   */
  readonly until?: (data: T, readAt: number) => boolean;
}

/**
 * Options of a query that polls. The browser sends the ETag of the last answer, so an unchanged answer costs the
 * service little. A hidden tab polls ten times less often and refetches when it becomes visible.
 */
export function polled<T>({ every, until }: Polling<T>) {
  return {
    refetchIntervalInBackground: true,
    refetchInterval: ({ state }: { state: { data?: T | undefined; dataUpdatedAt: number } }): number | false => {
      if (state.data !== undefined && until?.(state.data, state.dataUpdatedAt) === true) return false;
      const ms = typeof every === 'number' ? every : every(state.data);
      return document.hidden ? ms * HIDDEN_FACTOR : ms;
    },
  };
}

/** Delay in milliseconds after the end of a job or rollout, from which an answer about it is taken as final. */
const SETTLED_MS = 5000;

/**
 * Whether an answer about a job or rollout, such as its events, is final. Answers are polled separately, so one may
 * have been read just before the end and be incomplete.
 * @param finishedAt end of the job or rollout (RFC 3339); null while it runs
 * @param readAt time of the answer, in milliseconds
 */
export function isSettled(finishedAt: string | null, readAt: number): boolean {
  return finishedAt !== null && readAt > Date.parse(finishedAt) + SETTLED_MS;
}

/**
 * Has all queries below a key made again when a value changes, for example those of a job when it ends.
 * @param queryKey must keep its identity (useMemo)
 */
export function useInvalidateOn(value: string | null, queryKey: QueryKey): void {
  const queries = useQueryClient();
  const before = useRef(value);
  useEffect(() => {
    if (before.current === value) return;
    before.current = value;
    void queries.invalidateQueries({ queryKey });
  }, [queries, queryKey, value]);
}

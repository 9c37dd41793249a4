import { useQueryClient, type QueryKey } from '@tanstack/react-query';
import { useEffect, useRef } from 'react';

/** How much slower a page asks that nobody looks at. */
const HIDDEN_FACTOR = 10;

interface Polling<T> {
  /** Milliseconds between two answers, while the tab is seen; it may depend on the last one. */
  readonly every: number | ((data: T | undefined) => number);
  /** Whether what was read has ended and will not change any more. `readAt` is when that was, in milliseconds by the reader's clock. */
  readonly until?: (data: T, readAt: number) => boolean;
}

/**
 * Options of a query that is asked again and again. The browser sends the ETag of its last answer along, so that an unchanged answer
 * costs the service little; a hidden tab asks ten times less often, and one that comes back asks at once.
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

/** A part that was read so long after the end of what it belongs to has all of it. */
const SETTLED_MS = 5000;

/**
 * For `until`, of a part that is asked for together with what it belongs to, and so may have been read just before the end.
 * @param finishedAt the end of what the part belongs to, by RFC 3339; null while it goes on
 */
export function isSettled(finishedAt: string | null, readAt: number): boolean {
  return finishedAt !== null && readAt > Date.parse(finishedAt) + SETTLED_MS;
}

/**
 * Reads again what belongs to something as soon as that has changed, for example its parts once it has ended.
 * @param queryKey keep its identity (useMemo)
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

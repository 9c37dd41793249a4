/** How much slower a page asks that nobody looks at. */
const HIDDEN_FACTOR = 10;

interface Polling<T> {
  /** Milliseconds between two answers, while the tab is seen. */
  readonly every: number;
  /** Whether what was read has ended and will not change any more. */
  readonly until?: (data: T) => boolean;
}

/**
 * Options of a query that is asked again and again. The browser sends the ETag of its last answer along, so that an unchanged answer
 * costs the service little; a hidden tab asks ten times less often, and one that comes back asks at once.
 */
export function polled<T>({ every, until }: Polling<T>) {
  return {
    refetchIntervalInBackground: true,
    refetchInterval: ({ state }: { state: { data?: T | undefined } }): number | false => {
      if (state.data !== undefined && until?.(state.data) === true) return false;
      return document.hidden ? every * HIDDEN_FACTOR : every;
    },
  };
}

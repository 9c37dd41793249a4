import { useInfiniteQuery } from '@tanstack/react-query';
import { useMemo } from 'react';

/** The API answers with 200 entries at the most. */
export const PAGE_SIZE = 200;
/** Of a longer list, only what is asked for again by its reader is read again. */
const MOST_POLLED_PAGES = 2;

interface PageOf<T> {
  readonly data: T[];
  readonly next_cursor: string | null;
}

interface EndlessOptions<T> {
  /** Filters and order belong into it. */
  readonly queryKey: readonly unknown[];
  readonly read: (page: { cursor: string | undefined; limit: number; signal: AbortSignal }) => Promise<PageOf<T>>;
  /** Milliseconds after which the list is read again, while it is short. */
  readonly every?: number;
}

/** The pages of a list, for a table that asks for the next one when it is scrolled. */
export function useEndless<T>({ queryKey, read, every }: EndlessOptions<T>) {
  const query = useInfiniteQuery({
    queryKey,
    queryFn: ({ pageParam, signal }) => read({ cursor: pageParam, limit: PAGE_SIZE, signal }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next_cursor: next }) => next ?? undefined,
    refetchInterval: ({ state }) => {
      const pages = state.data?.pages.length ?? 0;
      return every !== undefined && pages <= MOST_POLLED_PAGES && !document.hidden ? every : false;
    },
  });
  const { data, error, refetch, hasNextPage, isFetchingNextPage, fetchNextPage } = query;
  const rows = useMemo(() => data?.pages.flatMap((page) => page.data), [data]);
  return {
    /** For `Loaded`. */
    query: { data: rows, error, refetch },
    /** For `DataTable`. */
    loadMore: hasNextPage ? fetchNextPage : undefined,
    isLoadingMore: isFetchingNextPage,
  };
}

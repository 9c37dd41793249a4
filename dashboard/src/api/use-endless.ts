import {
  hashKey,
  replaceEqualDeep,
  useMutation,
  useQuery,
  useQueryClient,
  type QueryClient,
} from '@tanstack/react-query';
import { useCallback, useMemo, useRef } from 'react';
import { appended, flattened, pagesOf, replaced, type ListPage, type Pages, type Range } from './list-pages.ts';

/** Largest page size that the API allows. */
const PAGE_SIZE = 200;
/** Time after which a page of rows is read again when it comes into view, in milliseconds. */
const STALE_AFTER_MS = 10_000;

interface PageOf<T> {
  readonly data: T[];
  readonly next_cursor: string | null;
}

export interface EndlessList<T> {
  /** Key of the list in the query cache. It must include the filters and the order. */
  readonly queryKey: readonly unknown[];
  readonly read: (page: { cursor: string | undefined; limit: number; signal: AbortSignal }) => Promise<PageOf<T>>;
  readonly rowId: (row: T) => string;
  /** Polling interval of the visible rows in milliseconds (default: no polling). */
  readonly every?: number;
}

/**
 * Endless list for a table. Scrolling loads further pages; polling reads only the visible ones again.
 */
export function useEndless<T>(list: EndlessList<T>) {
  const queries = useQueryClient();
  const { queryKey, every } = list;
  const seen = useRef<Range>({ first: 0, last: 0 });
  const query = useQuery<Pages<T>>({
    queryKey,
    queryFn: ({ signal }) => readSeen(queries, list, seen.current, signal),
    // `readSeen` shares unchanged rows itself; comparing 10,000 rows on each poll would be noticeably slow.
    structuralSharing: false,
    refetchInterval: () => (every === undefined || document.hidden ? false : every),
  });
  const { data: pages, refetch } = query;
  const more = useReadOn(queries, list, countOf(pages ?? []));
  const { rowId } = list;
  const rows = useMemo(() => (pages === undefined ? undefined : flattened(pages, rowId)), [pages, rowId]);
  const onSeen = useCallback(
    (range: Range) => {
      seen.current = range;
      const { first, last } = pagesOf(pages ?? [], range);
      const staleBefore = Date.now() - (every ?? STALE_AFTER_MS);
      if (pages?.slice(first, last + 1).some(({ readAt }) => readAt < staleBefore) === true)
        void refetch({ cancelRefetch: false });
    },
    [pages, every, refetch],
  );
  return {
    /** Properties to pass to the component `Loaded`, which shows the list's loading and errors. */
    query: { data: rows, error: query.error ?? more.error, refetch: more.error === null ? refetch : more.retry },
    /** Properties to pass to the component `DataTable`, which shows the rows. */
    table: {
      loadMore: pages?.at(-1)?.next === null ? undefined : more.readOn,
      isLoadingMore: more.isPending,
      onSeen,
      rowId,
    },
  };
}

/** Loads the first page of a list before it is shown. */
export function prefetchList<T>(queries: QueryClient, list: EndlessList<T>): Promise<void> {
  return queries.prefetchQuery({
    queryKey: list.queryKey,
    queryFn: ({ signal }) => readSeen(queries, list, { first: 0, last: 0 }, signal),
    structuralSharing: false,
  });
}

async function readPage<T>(
  list: EndlessList<T>,
  cursor: string | undefined,
  signal: AbortSignal,
): Promise<ListPage<T>> {
  const { data, next_cursor: next } = await list.read({ cursor, limit: PAGE_SIZE, signal });
  return { cursor, rows: data, next, readAt: Date.now() };
}

/** Reads the pages whose rows are visible, and returns all pages of the list with these replaced. */
async function readSeen<T>(
  queries: QueryClient,
  list: EndlessList<T>,
  seen: Range,
  signal: AbortSignal,
): Promise<Pages<T>> {
  const before = queries.getQueryData<Pages<T>>(list.queryKey) ?? [];
  const { first, last } = pagesOf(before, seen);
  const fresh: ListPage<T>[] = [];
  let cursor: string | null | undefined = before[first]?.cursor;
  for (let index = first; index <= last && cursor !== null; index++) {
    const page: ListPage<T> = await readPage(list, cursor, signal);
    fresh.push(page);
    cursor = page.next;
  }
  // Scrolling may have added pages in the meantime.
  const now = queries.getQueryData<Pages<T>>(list.queryKey) ?? [];
  return replaced(
    now,
    first,
    fresh.map((page, index) => ({ ...page, rows: shared(now[first + index]?.rows, page.rows) })),
  );
}

/**
 * Returns the new rows, with the earlier object in place of each row that has not changed, so that it does not render
 * again.
 */
function shared<T>(before: readonly T[] | undefined, rows: readonly T[]): readonly T[] {
  return before === undefined ? rows : replaceEqualDeep(before, rows);
}

/** Loads further pages until the list has as many rows as the table last asked for. */
function useReadOn<T>(queries: QueryClient, list: EndlessList<T>, known: number) {
  const wanted = useRef(0);
  /**
   * Key of the list whose pages are being loaded. A load in progress notices a higher `wanted` by itself, so no second
   * load starts.
   */
  const reading = useRef<string>(undefined);
  const { mutate, isPending, error } = useMutation({
    mutationFn: () => readUntil(queries, list, wanted),
    onSettled: () => (reading.current = undefined),
  });
  const key = hashKey(list.queryKey);
  const retry = useCallback(() => {
    reading.current = key;
    mutate();
  }, [mutate, key]);
  const readOn = useCallback(
    (rows: number) => {
      wanted.current = rows;
      if (known < rows && reading.current !== key) retry();
    },
    [known, key, retry],
  );
  return { readOn, retry, isPending, error };
}

async function readUntil<T>(queries: QueryClient, list: EndlessList<T>, wanted: { current: number }): Promise<void> {
  const known = queries.getQueryData<Pages<T>>(list.queryKey) ?? [];
  const added: ListPage<T>[] = [];
  let next = known.at(-1)?.next ?? null;
  try {
    while (next !== null && countOf(known) + countOf(added) < wanted.current) {
      const page: ListPage<T> = await readPage(list, next, AbortSignal.timeout(READ_ON_MS));
      added.push(page);
      next = page.next;
    }
  } finally {
    queries.setQueryData<Pages<T>>(list.queryKey, (now) => appended(now ?? [], added));
  }
}

const countOf = <T>(pages: Pages<T>): number => pages.reduce((sum, { rows }) => sum + rows.length, 0);

/** Longest time that reading one page may take while further pages of a list are loaded, in milliseconds. */
const READ_ON_MS = 30_000;

/** One page of a list, as last read from the API. */
export interface ListPage<T> {
  /** Cursor at which the page starts; undefined for the first page. */
  readonly cursor: string | undefined;
  readonly rows: readonly T[];
  /** Cursor of the next page; null for the last page. */
  readonly next: string | null;
  /**
   * Time of the last read, in milliseconds by the browser's clock; 0 if the page must be read again when it comes into
   * view.
   */
  readonly readAt: number;
}

export type Pages<T> = readonly ListPage<T>[];

/** Indexes of the first and the last element of a range, both included. */
export interface Range {
  readonly first: number;
  readonly last: number;
}

/**
 * Rows of all pages of a list without duplicates: a row that moved between two reads can be on two pages, and its first
 * place counts.
 */
export function flattened<T>(pages: Pages<T>, rowId: (row: T) => string): readonly T[] {
  const known = new Set<string>();
  return pages.flatMap(({ rows }) => rows.filter((row) => known.size < known.add(rowId(row)).size));
}

/** Indexes of the pages that contain the rows in the given range. */
export function pagesOf<T>(pages: Pages<T>, { first, last }: Range): Range {
  let end = 0;
  const ends = pages.map(({ rows }) => (end += rows.length));
  const pageOf = (row: number) => {
    const index = ends.findIndex((each) => row < each);
    return index === -1 ? Math.max(0, pages.length - 1) : index;
  };
  return { first: pageOf(first), last: pageOf(last) };
}

/**
 * Replaces the pages from index `first` on with freshly read ones. If the last fresh page ends at a different cursor
 * than before, the page after it is changed to start there and marked for reading (`readAt` 0). If the last fresh page
 * is the last of the list, later pages are dropped.
 */
export function replaced<T>(pages: Pages<T>, first: number, fresh: Pages<T>): Pages<T> {
  const next = fresh.at(-1)?.next ?? null;
  if (next === null) return [...pages.slice(0, first), ...fresh];
  const [behind, ...others] = pages.slice(first + fresh.length);
  if (behind === undefined) return [...pages.slice(0, first), ...fresh];
  const follows = behind.cursor === next ? behind : { ...behind, cursor: next, readAt: 0 };
  return [...pages.slice(0, first), ...fresh, follows, ...others];
}

/**
 * Appends pages to a list. Drops them if the list's last page has changed since they were requested, so that they no
 * longer follow it.
 */
export function appended<T>(pages: Pages<T>, added: Pages<T>): Pages<T> {
  return added[0] !== undefined && pages.at(-1)?.next === added[0].cursor ? [...pages, ...added] : pages;
}

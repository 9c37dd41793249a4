/** A page of a list, as it was read last. */
export interface ListPage<T> {
  /** Where it begins; undefined for the first one. */
  readonly cursor: string | undefined;
  readonly rows: readonly T[];
  /** Where the next one begins; null if it is the last one. */
  readonly next: string | null;
  /** In milliseconds by the reader's clock; 0 if it has to be read again as soon as it is seen. */
  readonly readAt: number;
}

export type Pages<T> = readonly ListPage<T>[];

/** Indexes, both included. */
export interface Range {
  readonly first: number;
  readonly last: number;
}

/** The rows of all pages. One that has moved on to a page that was read again is shown there only. */
export function flattened<T>(pages: Pages<T>, rowId: (row: T) => string): readonly T[] {
  const known = new Set<string>();
  return pages.flatMap(({ rows }) => rows.filter((row) => known.size < known.add(rowId(row)).size));
}

/** The pages that have the rows. */
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
 * The pages with some that were read again. Where the last of those ends elsewhere now, the one behind it begins there, and is read
 * again when it is seen; what follows a last page has gone.
 */
export function replaced<T>(pages: Pages<T>, first: number, fresh: Pages<T>): Pages<T> {
  const next = fresh.at(-1)?.next ?? null;
  if (next === null) return [...pages.slice(0, first), ...fresh];
  const [behind, ...others] = pages.slice(first + fresh.length);
  if (behind === undefined) return [...pages.slice(0, first), ...fresh];
  const follows = behind.cursor === next ? behind : { ...behind, cursor: next, readAt: 0 };
  return [...pages.slice(0, first), ...fresh, follows, ...others];
}

/** The pages with further ones, unless the list has come to end elsewhere since they were asked for. */
export function appended<T>(pages: Pages<T>, added: Pages<T>): Pages<T> {
  return added[0] !== undefined && pages.at(-1)?.next === added[0].cursor ? [...pages, ...added] : pages;
}

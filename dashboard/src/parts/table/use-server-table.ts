import { rowSortingFeature, tableFeatures, useTable, type ColumnDef, type SortingState } from '@tanstack/react-table';
import { useMemo, type ReactNode } from 'react';

/** What a column has besides what the library knows of it. */
export interface ColumnMeta {
  readonly align: 'start' | 'end';
}

export const features = tableFeatures({ rowSortingFeature, columnMeta: {} as ColumnMeta });

export interface Column<T> {
  readonly id: string;
  readonly header: string;
  readonly cell: (row: T) => ReactNode;
  /** The name by which the server sorts the column; without it, the column cannot be sorted. */
  readonly sort?: string;
  /** Width in pixels (default 140). */
  readonly width?: number;
  readonly align?: 'start' | 'end';
}

/** The library asks for rows that are objects. */
export type AnyRow = object;

const NO_ROWS: readonly never[] = [];

interface ServerTableOptions<T> {
  readonly columns: readonly Column<T>[];
  readonly sort: string | undefined;
  readonly onSort: ((sort: string) => void) | undefined;
}

/**
 * A table whose rows are sorted, filtered and paged by the server; it holds the columns and what is sorted by. It gets no rows: the library
 * would make objects for each of 10,000 of them whenever one has changed, and what is seen is rendered by its columns.
 */
export function useServerTable<T>({ columns, sort, onSort }: ServerTableOptions<T>) {
  const definitions = useMemo(() => columns.map(toDefinition), [columns]);
  const sorting = useMemo(() => toSorting(columns, sort), [columns, sort]);
  return useTable({
    features,
    columns: definitions,
    data: NO_ROWS,
    manualSorting: true,
    enableSortingRemoval: false,
    state: { sorting },
    onSortingChange: (change) => {
      const [next] = typeof change === 'function' ? change(sorting) : change;
      const name = columns.find(({ id }) => id === next?.id)?.sort;
      if (next !== undefined && name !== undefined) onSort?.(`${next.desc ? '-' : ''}${name}`);
    },
  });
}

function toDefinition<T>({ id, header, sort, align = 'start' }: Column<T>): ColumnDef<typeof features, T & AnyRow> {
  return {
    id,
    header,
    accessorFn: (row) => row,
    enableSorting: sort !== undefined,
    sortDescFirst: true,
    meta: { align },
  };
}

function toSorting<T>(columns: readonly Column<T>[], sort = ''): SortingState {
  const desc = sort.startsWith('-');
  const column = columns.find((each) => each.sort !== undefined && each.sort === sort.slice(desc ? 1 : 0));
  return column === undefined ? [] : [{ id: column.id, desc }];
}

import { rowSortingFeature, tableFeatures, useTable, type ColumnDef, type SortingState } from '@tanstack/react-table';
import { useMemo, type ReactNode } from 'react';

/** Property of a column that the table library does not know: how its cells are aligned. */
export interface ColumnMeta {
  readonly align: 'start' | 'end';
}

export const features = tableFeatures({ rowSortingFeature, columnMeta: {} as ColumnMeta });

export interface Column<T> {
  readonly id: string;
  readonly header: string;
  readonly cell: (row: T) => ReactNode;
  /** Name by which the API sorts by this column; without a name, the column cannot be sorted. */
  readonly sort?: string;
  /** Width of the column in pixels (default 140). */
  readonly width?: number;
  readonly align?: 'start' | 'end';
}

/** Row type that the table library requires. */
export type AnyRow = object;

const NO_ROWS: readonly never[] = [];

interface ServerTableOptions<T> {
  readonly columns: readonly Column<T>[];
  readonly sort: string | undefined;
  readonly onSort: ((sort: string) => void) | undefined;
}

/**
 * Header state of a table whose rows the server sorts, filters and pages. The library gets no rows: with 10,000 of
 * them, it would build an object per row on every change, and `TableBody` renders the visible rows by itself.
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

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

interface ServerTableOptions<T> {
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly rowId: (row: T) => string;
  readonly sort: string | undefined;
  readonly onSort: ((sort: string) => void) | undefined;
}

/** A table whose rows are sorted, filtered and paged by the server; it holds columns, rows and what is sorted by. */
export function useServerTable<T>({ columns, rows, rowId, sort, onSort }: ServerTableOptions<T>) {
  const definitions = useMemo(() => columns.map(toDefinition), [columns]);
  const sorting = useMemo(() => toSorting(columns, sort), [columns, sort]);
  return useTable({
    features,
    columns: definitions,
    data: rows as readonly (T & AnyRow)[],
    getRowId: (row) => rowId(row),
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

export type ServerTable<T> = ReturnType<typeof useServerTable<T>>;

function toDefinition<T>({
  id,
  header,
  cell,
  sort,
  align = 'start',
}: Column<T>): ColumnDef<typeof features, T & AnyRow> {
  return {
    id,
    header,
    accessorFn: (row) => row,
    cell: ({ row }) => cell(row.original),
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

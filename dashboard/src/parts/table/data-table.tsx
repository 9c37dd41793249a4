import { TriangleDownIcon, TriangleUpIcon } from '@radix-ui/react-icons';
import { Spinner, Text } from '@radix-ui/themes';
import { FlexRender, type Header } from '@tanstack/react-table';
import { useState } from 'react';
import { count } from '../../lib/format.ts';
import { TableBody } from './table-body.tsx';
import { useServerTable, type AnyRow, type Column, type features } from './use-server-table.ts';

interface DataTableProps<T> {
  /** Name of the table for screen readers: `Jobs of the rollout`. */
  readonly label: string;
  /** Columns. Keep the array's identity while they are the same (a constant or useMemo). */
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly rowId: (row: T) => string;
  /** Number of rows that the list has on the server, if known. */
  readonly total?: number | null;
  /** Current sort order in the API's form: `ttr` or `-ttr`. */
  readonly sort?: string;
  readonly onSort?: (sort: string) => void;
  /** Loads pages until there are at least this many rows; undefined when all rows are loaded. */
  readonly loadMore?: (rows: number) => unknown;
  readonly isLoadingMore?: boolean;
  /** Called with the indexes of the visible rows whenever they change. */
  readonly onSeen?: (range: { first: number; last: number }) => void;
  /** Largest height of the table in pixels (default 600). */
  readonly height?: number;
}

/**
 * Table of any length, sorted by the server. It renders only the visible rows and loads further pages while it is
 * scrolled. With a known `total` one can scroll to any row directly. The browser's search finds rendered rows only, so
 * offer a server-side filter beside it.
 */
export function DataTable<T>(props: DataTableProps<T>) {
  const {
    label,
    columns,
    rows,
    rowId,
    total,
    sort,
    onSort,
    loadMore,
    isLoadingMore = false,
    onSeen,
    height = 600,
  } = props;
  // The body needs the scroll container's size to know which rows are visible, so it renders after the container.
  const [scroller, setScroller] = useState<HTMLDivElement | null>(null);
  const size = loadMore === undefined ? rows.length : Math.max(rows.length, total ?? 0);
  return (
    <div>
      <div
        ref={setScroller}
        className="data-table"
        style={{ maxHeight: height }}
        tabIndex={0}
        role="region"
        aria-label={label}
      >
        <table aria-label={label} aria-rowcount={loadMore === undefined || size > rows.length ? size + 1 : -1}>
          <colgroup>
            {columns.map(({ id, width = 140 }) => (
              <col key={id} style={{ width }} />
            ))}
          </colgroup>
          <Head columns={columns} sort={sort} onSort={onSort} />
          {scroller !== null && <TableBody {...{ columns, rows, rowId, size, scroller, loadMore, onSeen }} />}
        </table>
      </div>
      <Text as="p" size="1" color="gray" mt="1" role="status">
        {summary(rows.length, total, loadMore !== undefined)} {isLoadingMore && <Spinner size="1" />}
      </Text>
    </div>
  );
}

function Head<T>({ columns, sort, onSort }: Pick<DataTableProps<T>, 'columns' | 'sort' | 'onSort'>) {
  const table = useServerTable({ columns, sort, onSort });
  return (
    <thead>
      <tr aria-rowindex={1}>
        {table.getHeaderGroups()[0]?.headers.map((header) => (
          <HeaderCell key={header.id} header={header} />
        ))}
      </tr>
    </thead>
  );
}

const ARIA_SORT = { asc: 'ascending', desc: 'descending' } as const;

/** Header of a column, a button if the server can sort by it. */
function HeaderCell<T extends AnyRow>({ header }: { header: Header<typeof features, T> }) {
  const { column } = header;
  const sorted = column.getIsSorted();
  const content = <FlexRender header={header} />;
  return (
    <th
      scope="col"
      className={column.columnDef.meta?.align === 'end' ? 'end' : undefined}
      aria-sort={sorted === false ? undefined : ARIA_SORT[sorted]}
    >
      {column.getCanSort() ? (
        <button type="button" className="sort" onClick={column.getToggleSortingHandler()}>
          {content}
          {sorted === 'asc' && <TriangleUpIcon aria-hidden />}
          {sorted === 'desc' && <TriangleDownIcon aria-hidden />}
        </button>
      ) : (
        content
      )}
    </th>
  );
}

function summary(loaded: number, total: number | null | undefined, more: boolean): string {
  if (!more) return `${count(loaded)} in all`;
  return total === null || total === undefined
    ? `${count(loaded)} loaded, scroll for more`
    : `${count(loaded)} of ${count(total)} loaded, scroll for more`;
}

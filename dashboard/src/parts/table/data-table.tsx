import { TriangleDownIcon, TriangleUpIcon } from '@radix-ui/react-icons';
import { Spinner, Text } from '@radix-ui/themes';
import { FlexRender, type Header } from '@tanstack/react-table';
import { useState } from 'react';
import { count } from '../../lib/format.ts';
import { TableBody } from './table-body.tsx';
import { useServerTable, type AnyRow, type Column, type features } from './use-server-table.ts';

interface DataTableProps<T> {
  /** What the rows are, for people who cannot see the table: `Jobs of the rollout`. */
  readonly label: string;
  /** Keep its identity while the columns are the same: at the top of the file, or by useMemo. */
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly rowId: (row: T) => string;
  /** Number of rows at the server, if it is known. */
  readonly total?: number | null;
  /** The present order as the API has it: `ttr` or `-ttr`. */
  readonly sort?: string;
  readonly onSort?: (sort: string) => void;
  /** Asks for pages until there are so many rows; undefined where there are no more. */
  readonly loadMore?: (rows: number) => unknown;
  readonly isLoadingMore?: boolean;
  /** Is told which rows are seen, by their indexes, whenever others are. */
  readonly onSeen?: (range: { first: number; last: number }) => void;
  /** Largest height in pixels (default 600). */
  readonly height?: number;
}

/**
 * A table of any length, sorted by the server: only the rows that are seen are rendered, and further pages are loaded while it is
 * scrolled. Where the number of rows at the server is known, it can be scrolled to any of them at once. The browser's search finds only
 * what is rendered; offer a filter of the server beside it.
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
  // The rows are rendered once there is a place to scroll in: its size says how many of them are seen.
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

/** The head of a column, a button where the server can sort by it. */
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

import { Spinner, Text } from '@radix-ui/themes';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useState } from 'react';
import { count } from '../../lib/format.ts';
import { HeaderCell } from './header-cell.tsx';
import { useServerTable, type Column, type ServerTable } from './use-server-table.ts';

const ROW_HEIGHT = 44;
/** Rows that are rendered beyond those that are seen, so that fast scrolling shows no gaps. */
const OVERSCAN = 12;
/** The next page is asked for when this many rows are left below. */
const AHEAD = 60;

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
  /** Asks for the next page; undefined where there is none. */
  readonly loadMore?: () => unknown;
  readonly isLoadingMore?: boolean;
  /** Largest height in pixels (default 600). */
  readonly height?: number;
}

/**
 * A table of any length, sorted by the server: only the rows that are seen are rendered, and further pages are loaded while it is
 * scrolled. The browser's search finds only what is rendered; offer a filter of the server beside it.
 */
export function DataTable<T>(props: DataTableProps<T>) {
  const { label, columns, rows, rowId, total, sort, onSort, loadMore, isLoadingMore = false, height = 600 } = props;
  const table = useServerTable({ columns, rows, rowId, sort, onSort });
  // The rows are rendered once there is a place to scroll in: its size says how many of them are seen.
  const [scroller, setScroller] = useState<HTMLDivElement | null>(null);
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
        <table aria-label={label} aria-rowcount={loadMore === undefined ? rows.length + 1 : -1}>
          <colgroup>
            {columns.map(({ id, width = 140 }) => (
              <col key={id} style={{ width }} />
            ))}
          </colgroup>
          <thead>
            <tr aria-rowindex={1}>
              {table.getHeaderGroups()[0]?.headers.map((header) => (
                <HeaderCell key={header.id} header={header} />
              ))}
            </tr>
          </thead>
          {scroller !== null && (
            <Body table={table} scroller={scroller} loadMore={isLoadingMore ? undefined : loadMore} />
          )}
        </table>
      </div>
      <Text as="p" size="1" color="gray" mt="1" role="status">
        {summary(rows.length, total, loadMore !== undefined)} {isLoadingMore && <Spinner size="1" />}
      </Text>
    </div>
  );
}

interface BodyProps<T> {
  readonly table: ServerTable<T>;
  readonly scroller: HTMLDivElement;
  readonly loadMore: (() => unknown) | undefined;
}

/** The rows that are seen, between two that take the place of the others. */
function Body<T>({ table, scroller, loadMore }: BodyProps<T>) {
  const { rows } = table.getRowModel();
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller,
    estimateSize: () => ROW_HEIGHT,
    overscan: OVERSCAN,
  });
  const items = virtual.getVirtualItems();
  const [first, last] = [items[0], items.at(-1)];
  const isNearEnd = (last?.index ?? 0) >= rows.length - AHEAD;
  useEffect(() => {
    if (isNearEnd) loadMore?.();
  }, [isNearEnd, loadMore]);
  return (
    <tbody>
      <Spacer height={first?.start ?? 0} />
      {items.map(({ index }) => {
        const row = rows[index];
        return row === undefined ? null : (
          <tr key={row.id} aria-rowindex={index + 2} style={{ height: ROW_HEIGHT }}>
            {row.getAllCells().map((cell) => (
              <td key={cell.id} className={cell.column.columnDef.meta?.align === 'end' ? 'end' : undefined}>
                <table.FlexRender cell={cell} />
              </td>
            ))}
          </tr>
        );
      })}
      <Spacer height={virtual.getTotalSize() - (last?.end ?? 0)} />
    </tbody>
  );
}

/** Takes the place of rows that are not rendered. */
function Spacer({ height }: { height: number }) {
  return height <= 0 ? null : <tr aria-hidden style={{ height }} />;
}

function summary(loaded: number, total: number | null | undefined, more: boolean): string {
  if (!more) return `${count(loaded)} in all`;
  return total === null || total === undefined
    ? `${count(loaded)} loaded, scroll for more`
    : `${count(loaded)} of ${count(total)} loaded, scroll for more`;
}

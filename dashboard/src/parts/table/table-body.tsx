import { Skeleton } from '@radix-ui/themes';
import { useVirtualizer } from '@tanstack/react-virtual';
import { memo, useEffect, type ReactNode } from 'react';
import type { Column } from './use-server-table.ts';

const ROW_HEIGHT = 44;
/** Number of rows rendered above and below the visible ones, so that scrolling shows no gaps. */
const OVERSCAN = 8;
/** Number of rows below the visible ones at which the next page is loaded. */
const AHEAD = 60;

interface TableBodyProps<T> {
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly rowId: (row: T) => string;
  /** Number of rows of the whole table, including those not loaded yet. */
  readonly size: number;
  readonly scroller: HTMLDivElement;
  readonly loadMore: ((rows: number) => unknown) | undefined;
  readonly onSeen: ((range: { first: number; last: number }) => void) | undefined;
}

/** Virtualized table body: the visible rows between two spacers in place of the others. */
export function TableBody<T>(props: TableBodyProps<T>) {
  const { columns, rows, rowId, size, scroller, loadMore, onSeen } = props;
  const virtual = useVirtualizer({
    count: size,
    getScrollElement: () => scroller,
    estimateSize: () => ROW_HEIGHT,
    overscan: OVERSCAN,
  });
  const items = virtual.getVirtualItems();
  const { startIndex: first = 0, endIndex: last = 0 } = virtual.range ?? {};
  useEffect(() => {
    loadMore?.(last + AHEAD);
  }, [last, loadMore]);
  useEffect(() => {
    onSeen?.({ first, last });
  }, [first, last, onSeen]);
  return (
    <tbody>
      <Spacer height={items[0]?.start ?? 0} />
      {items.map(({ index }) => {
        const row = rows[index];
        return row === undefined ? (
          <PendingRow key={index} index={index} columns={columns.length} />
        ) : (
          <Row key={rowId(row)} row={row} index={index} columns={columns} />
        );
      })}
      <Spacer height={virtual.getTotalSize() - (items.at(-1)?.end ?? 0)} />
    </tbody>
  );
}

interface RowProps<T> {
  readonly row: T;
  readonly index: number;
  readonly columns: readonly Column<T>[];
}

/** Table row, memoized because rendering one takes milliseconds and scrolling re-renders the body often. */
const Row = memo(function Row<T>({ row, index, columns }: RowProps<T>) {
  return (
    <tr aria-rowindex={index + 2} style={{ height: ROW_HEIGHT }}>
      {columns.map(({ id, align, cell }) => (
        <td key={id} className={align === 'end' ? 'end' : undefined}>
          {cell(row)}
        </td>
      ))}
    </tr>
  );
}) as <T>(props: RowProps<T>) => ReactNode;

/** Placeholder of a row that is not loaded yet. */
function PendingRow({ index, columns }: { index: number; columns: number }) {
  return (
    <tr aria-rowindex={index + 2} aria-busy style={{ height: ROW_HEIGHT }}>
      <td colSpan={columns}>
        <Skeleton height="16px" />
      </td>
    </tr>
  );
}

/** Empty row with the height of the rows that are not rendered. */
function Spacer({ height }: { height: number }) {
  return height <= 0 ? null : <tr aria-hidden style={{ height }} />;
}

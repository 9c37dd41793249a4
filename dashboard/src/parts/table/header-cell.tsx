import { TriangleDownIcon, TriangleUpIcon } from '@radix-ui/react-icons';
import { FlexRender, type Header } from '@tanstack/react-table';
import type { AnyRow, features } from './use-server-table.ts';

const ARIA_SORT = { asc: 'ascending', desc: 'descending' } as const;

/** The head of a column, a button where the server can sort by it. */
export function HeaderCell<T extends AnyRow>({ header }: { header: Header<typeof features, T> }) {
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

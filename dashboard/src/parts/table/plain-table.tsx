import type { ReactNode } from 'react';

interface PlainTableProps {
  /** Name of the table for screen readers. */
  readonly label: string;
  readonly columns: readonly string[];
  /** Rows of the table, as `tr` elements. */
  readonly children: ReactNode;
}

/** Short table that renders all rows and scrolls horizontally on narrow screens. */
export function PlainTable({ label, columns, children }: PlainTableProps) {
  return (
    <div className="scrolls" tabIndex={0} role="region" aria-label={label}>
      <table className="plain-table">
        <thead>
          <tr>
            {columns.map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

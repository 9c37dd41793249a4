import type { ReactNode } from 'react';

interface PlainTableProps {
  /** What the rows are, for people who cannot see the table. */
  readonly label: string;
  readonly columns: readonly string[];
  /** Rows, as `tr`. */
  readonly children: ReactNode;
}

/** A short table that is shown whole, and scrolled sideways where there is no room for it. */
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

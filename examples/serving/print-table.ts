import { renderTable } from '../../cli/screen/table.ts';

type Row = Readonly<Record<string, string | null | undefined>>;

/** Prints rows below the names of their members. */
export function printTable(say: (line: string) => void, rows: readonly Row[]): void {
  const headings = Object.keys(rows[0] ?? {});
  const columns = headings.map((heading) => ({
    heading,
    value: (row: Row) => (row[heading] === '' ? '(ends at once)' : (row[heading] ?? '–')),
    shrinks: heading === 'prompt',
  }));
  say(`\n${renderTable(rows, columns, { width: process.stdout.columns ?? null })}`.trimEnd());
}

import { renderTable } from '../../cli/screen/table.ts';

type Row = Readonly<Record<string, string | null | undefined>>;

/** Prints rows as a table with the names of their members as headings. */
export function printTable(say: (line: string) => void, rows: readonly Row[]): void {
  const headings = Object.keys(rows[0] ?? {});
  const columns = headings.map((heading) => ({
    heading,
    value: (row: Row) => (row[heading] === '' ? '(ends at once)' : (row[heading] ?? '–')),
    shrinks: heading === 'prompt',
  }));
  say(`\n${renderTable(rows, columns, { width: process.stdout.columns ?? null })}`.trimEnd());
}

/** Formats milliseconds as seconds. */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** Shortens a prompt to its first words on one line. */
export function shortened(prompt: string): string {
  const line = prompt.replaceAll('\n', ' ');
  return line.length > 44 ? `${line.slice(0, 43)}…` : line;
}

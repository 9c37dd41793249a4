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

/** A time in milliseconds as seconds. */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** A prompt on one line, as its first words. */
export function shortened(prompt: string): string {
  const line = prompt.replaceAll('\n', ' ');
  return line.length > 44 ? `${line.slice(0, 43)}…` : line;
}

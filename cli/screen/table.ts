import { stripVTControlCharacters } from 'node:util';
import stringWidth from 'string-width';
import { printable } from './text.ts';
import { plain, type Paint } from './paint.ts';

/** A column of a table of rows of one kind. */
export interface Column<T> {
  readonly heading: string;
  value(row: T): string;
  /** Colors what is printed of the value, which may be cut and padded. */
  color?(row: T, shown: string, paint: Paint): string;
  readonly align?: 'right';
  /** Whether the column gives way where the terminal is too narrow. Names and messages do; identifiers are of no use if they are cut. */
  readonly shrinks?: boolean;
}

export interface TableOptions {
  /** Width of the terminal; null where lines may be of any length. */
  readonly width: number | null;
  readonly paint?: Paint;
}

const GAP = 2;
/** Columns that shrink keep this width, so that something can be recognized. */
const LEAST_WIDTH = 8;

/** Renders rows below their headings, aligned, each as one line that ends with a line feed. */
export function renderTable<T>(rows: readonly T[], columns: readonly Column<T>[], options: TableOptions): string {
  const cells = rows.map((row) => columns.map((column) => printable(column.value(row))));
  const natural = columns.map(({ heading }, at) =>
    Math.max(stringWidth(heading), ...cells.map((line) => stringWidth(line[at] ?? ''))),
  );
  const widths = options.width === null ? natural : fit(natural, columns, options.width);
  const paint = options.paint ?? plain;
  const headings = columns.map((column, at) => paint('bold', cell(column.heading, widths[at] ?? 0, column.align)));
  const lines = rows.map((row, line) =>
    columns.map((column, at) => {
      const shown = cell(cells[line]?.[at] ?? '', widths[at] ?? 0, column.align);
      return column.color === undefined ? shown : column.color(row, shown, paint);
    }),
  );
  return [headings, ...lines].map((line) => `${line.join(' '.repeat(GAP)).trimEnd()}\n`).join('');
}

/** Takes from the widest column that shrinks until the table fits or none can give more. */
function fit<T>(natural: readonly number[], columns: readonly Column<T>[], available: number): number[] {
  const widths = [...natural];
  let excess = widths.reduce((sum, width) => sum + width + GAP, -GAP) - available;
  while (excess > 0) {
    const widest = columns.reduce(
      (best, { shrinks }, at) => (shrinks === true && (widths[at] ?? 0) > (widths[best] ?? LEAST_WIDTH) ? at : best),
      -1,
    );
    if (widest < 0) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
    excess--;
  }
  return widths;
}

function cell(text: string, width: number, align: 'right' | undefined): string {
  const shown = cut(text, width);
  const padding = ' '.repeat(Math.max(0, width - stringWidth(shown)));
  return align === 'right' ? `${padding}${shown}` : `${shown}${padding}`;
}

const graphemes = new Intl.Segmenter();

/** Cuts a text to a width in columns of the terminal, and says by `…` that it did. A text that is cut loses its colors. */
export function cut(text: string, width: number): string {
  if (stringWidth(text) <= width) return text;
  let shown = '';
  let used = 1;
  for (const { segment } of graphemes.segment(stripVTControlCharacters(text))) {
    used += stringWidth(segment);
    if (used > width) break;
    shown += segment;
  }
  return `${shown}…`;
}

import { stripVTControlCharacters } from 'node:util';
import wideWidth from 'string-width';
import { printable } from './text.ts';
import { plain, type Paint } from './paint.ts';

/** Column of a table with rows of type `T`. */
export interface Column<T> {
  readonly heading: string;
  value(row: T): string;
  /** Colors the printed value, which may be cut and padded. */
  color?(row: T, shown: string, paint: Paint): string;
  readonly align?: 'right';
  /** Whether the column shrinks if the terminal is too narrow. Names and messages do; a cut identifier is of no use. */
  readonly shrinks?: boolean;
}

export interface TableOptions {
  /** Width of the terminal in columns of characters; null if lines may have any length. */
  readonly width: number | null;
  readonly paint?: Paint;
}

const GAP = 2;
/** Smallest width of a column that shrinks, so that its text can still be recognized. */
const LEAST_WIDTH = 8;
/** Number of first columns that are never left out: usually the identifier and the name. */
const LEAST_COLUMNS = 2;

/**
 * Renders rows below their headings, aligned, each as one line that ends with a line feed. On a narrow terminal,
 * columns that shrink are cut first, then columns are left out from the right, then lines are cut.
 */
export function renderTable<T>(rows: readonly T[], columns: readonly Column<T>[], options: TableOptions): string {
  const { width, paint = plain } = options;
  const fitted = fit(
    columns.map((column) => measured(column, rows)),
    width,
  );
  const headings = fitted.map((column) => paint('bold', cell(column.heading, column)));
  const lines = rows.map((row, line) =>
    fitted.map((column) => {
      const shown = cell(column.cells[line] ?? '', column);
      return column.color === undefined ? shown : column.color(row, shown, paint);
    }),
  );
  return [headings, ...lines]
    .map((line) => line.join(' '.repeat(GAP)).trimEnd())
    .map((line) => `${width === null ? line : cut(line, width)}\n`)
    .join('');
}

/** Column with the text of its cells and its width. */
interface Measured<T> extends Column<T> {
  readonly cells: readonly string[];
  readonly width: number;
}

function measured<T>(column: Column<T>, rows: readonly T[]): Measured<T> {
  const cells = rows.map((row) => printable(column.value(row)));
  // A list may have more rows than a call may have arguments.
  const width = cells.reduce((widest, text) => Math.max(widest, stringWidth(text)), stringWidth(column.heading));
  return { ...column, cells, width };
}

/** Narrows the columns of a table that may shrink until the table fits a width, as far as that is possible. */
function fit<T>(columns: readonly Measured<T>[], available: number | null): readonly Measured<T>[] {
  if (available === null) return columns;
  const narrowed = [...columns];
  for (let excess = widthOf(columns) - available; excess > 0; excess--) {
    const widest = narrowed.reduce(
      (best, { shrinks, width }, at) =>
        shrinks === true && width > (narrowed[best]?.width ?? LEAST_WIDTH) ? at : best,
      -1,
    );
    const column = narrowed[widest];
    if (column === undefined) break;
    narrowed[widest] = { ...column, width: column.width - 1 };
  }
  const isTooWide = widthOf(narrowed) > available && columns.length > LEAST_COLUMNS;
  return isTooWide ? fit(columns.slice(0, -1), available) : narrowed;
}

function widthOf(columns: readonly { readonly width: number }[]): number {
  return columns.reduce((sum, { width }) => sum + width + GAP, -GAP);
}

function cell(text: string, { width, align }: { readonly width: number; readonly align?: 'right' }): string {
  const shown = cut(text, width);
  const padding = ' '.repeat(Math.max(0, width - stringWidth(shown)));
  return align === 'right' ? `${padding}${shown}` : `${shown}${padding}`;
}

const ASCII = /^[\x20-\x7e]*$/;

/**
 * Width of a text in terminal columns. An ASCII character takes one column, so ASCII text needs no slow measurement.
 */
function stringWidth(text: string): number {
  return ASCII.test(text) ? text.length : wideWidth(text);
}

/** Size of a terminal; 80 × 24 if it reports none. */
export function terminalSize({ columns, rows }: NodeJS.WriteStream): { columns: number; rows: number } {
  return { columns: columns > 0 ? columns : 80, rows: rows > 0 ? rows : 24 };
}

const graphemes = new Intl.Segmenter();

/** Cuts a text to a width in terminal columns, and ends it with `…`. A cut text loses its colors. */
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

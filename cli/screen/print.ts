import type { JsonOption } from '../options/common-options.ts';
import { painterOf } from './paint.ts';
import { renderTable, terminalSize, type Column } from './table.ts';

interface Listed<T> {
  /** Document that is printed under `--json` in place of the table. */
  readonly document: object;
  readonly rows: readonly T[];
  readonly columns: readonly Column<T>[];
  /** Text that is printed for people if the table has no rows. */
  readonly empty: string;
}

/**
 * Prints rows as a table that fits the terminal, or a document with `--json`. The text for an empty table goes to
 * stderr.
 */
export function printTable<T>({ json = false }: JsonOption, { document, rows, columns, empty }: Listed<T>): void {
  if (json) {
    printJson(document);
  } else if (rows.length === 0) {
    note(empty);
  } else {
    const width = process.stdout.isTTY === true ? terminalSize(process.stdout).columns : null;
    process.stdout.write(renderTable(rows, columns, { width, paint: painterOf(process.stdout) }));
  }
}

/** Prints a document as indented JSON on stdout. */
export function printJson(document: object): void {
  process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
}

/** Prints a line for people on stderr. */
export function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

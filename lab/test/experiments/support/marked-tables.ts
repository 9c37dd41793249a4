/** Table of a page or report between its marks (`marked` in lab/experiments/report/format.ts). */
export interface MarkedTable {
  readonly experiment: string;
  readonly name: string;
  /** Rows as cells without surrounding spaces, without the line of dashes below the heading. */
  readonly rows: readonly string[];
}

const TABLE = /^<!-- (\S+): (.+?) -->\n([^]*?)\n<!-- end of \1: \2 -->$/gm;
const OPENING = /^<!-- (?!end of )\S+: .+? -->$/gm;

/** Finds the marked tables of a text. @throws Error for a mark without its end */
export function markedTables(text: string): MarkedTable[] {
  const found = [...text.matchAll(TABLE)].map(([, experiment = '', name = '', content = '']) => ({
    experiment,
    name,
    rows: rowsOf(content).filter((row) => !/^[|:-]+$/.test(row)),
  }));
  const opened = text.match(OPENING) ?? [];
  if (opened.length !== found.length)
    throw new Error(
      `${opened.length} tables begin with a mark and ${found.length} of them have an end: ${opened.join(', ')}`,
    );
  return found;
}

/** Lists differences between a page's marked tables of an experiment and its report, one message for each row. */
export function pageDifferences(page: string, report: string, experiment: string): string[] {
  const made = markedTables(report).filter((table) => table.experiment === experiment);
  return markedTables(page)
    .filter((table) => table.experiment === experiment)
    .flatMap(({ name, rows }) => {
      const expected = made.find((table) => table.name === name)?.rows;
      if (expected === undefined) return [`the report of ${experiment} has no table "${name}"`];
      const most = Math.max(rows.length, expected.length);
      return Array.from({ length: most }, (_, i) => [rows[i] ?? 'nothing', expected[i] ?? 'nothing'] as const).flatMap(
        ([shown, given]) => (shown === given ? [] : [`${name}: the page has ${shown}, the results give ${given}`]),
      );
    });
}

/** Lists the rows of a text's tables, as cells without surrounding spaces and backticks. */
export function rowsOf(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) =>
      line
        .split('|')
        .map((cell) => cell.trim().replaceAll('`', ''))
        .join('|'),
    );
}

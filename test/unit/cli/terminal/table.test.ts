import { describe, expect, it } from 'vitest';
import { cut, renderTable, type Column } from '../../../../cli/screen/table.ts';
import { printable, relativeTime } from '../../../../cli/screen/text.ts';

interface Row {
  readonly id: string;
  readonly name: string;
  readonly count: number;
}

const COLUMNS: readonly Column<Row>[] = [
  { heading: 'ID', value: ({ id }) => id },
  { heading: 'NAME', value: ({ name }) => name, shrinks: true },
  { heading: 'COUNT', value: ({ count }) => String(count), align: 'right' },
];
const rows: readonly Row[] = [
  { id: 'adp_1', name: 'a', count: 12345 },
  { id: 'adp_22', name: 'a name that is long enough to be cut', count: 7 },
];

describe('a table', () => {
  it('is aligned and has no white space at the end of a line', () => {
    expect(renderTable(rows, COLUMNS, { width: null })).toBe(
      [
        'ID      NAME                                  COUNT',
        'adp_1   a                                     12345',
        'adp_22  a name that is long enough to be cut      7',
        '',
      ].join('\n'),
    );
  });

  it('cuts the columns that shrink to the width of the terminal, and never an identifier', () => {
    const lines = renderTable(rows, COLUMNS, { width: 30 }).trimEnd().split('\n');
    expect(lines[2]).toBe('adp_22  a name that is…      7');
    expect(Math.max(...lines.map((line) => line.length))).toBe(30);
  });

  it('leaves out columns from the right where cutting is not enough, and cuts lines in the end', () => {
    expect(renderTable(rows, COLUMNS, { width: 18 })).toBe('ID      NAME\nadp_1   a\nadp_22  a name th…\n');
    expect(renderTable(rows, COLUMNS, { width: 9 })).toBe('ID      …\nadp_1   a\nadp_22  …\n');
  });

  it('has room for more rows than a call takes arguments', () => {
    const many = Array.from({ length: 200_000 }, (_, count) => ({ id: 'x', name: 'y', count }));
    expect(renderTable(many, COLUMNS, { width: null })).toMatch(/\nx +y +199999\n$/);
  });

  it('counts what a terminal shows: wide characters take two columns', () => {
    const wide = renderTable([{ id: 'x', name: '日本', count: 1 }], COLUMNS, { width: null }).split('\n');
    expect(wide[1]).toBe('x   日本      1');
    expect(cut('日本語', 5)).toBe('日本…');
    expect(cut('日本語', 4)).toBe('日…');
  });

  it('prints nothing of a value that a terminal would obey', () => {
    const hostile = { id: 'x', name: '\u001b[2J\u001b]0;title\u0007evil\r\nready\u202e', count: 1 };
    expect(renderTable([hostile], COLUMNS, { width: null })).toBe('ID  NAME         COUNT\nx   evil ready       1\n');
    expect(printable('a\u0000b\tc')).toBe('a b c');
  });

  it('colors cells behind their padding, so that columns stay aligned', () => {
    const columns: readonly Column<Row>[] = [
      { heading: 'NAME', value: ({ name }) => name, color: (_row, shown, paint) => paint('green', shown) },
      { heading: 'COUNT', value: ({ count }) => String(count) },
    ];
    const paint = (color: string, text: string): string => `<${color}>${text}</>`;
    expect(renderTable([{ id: '', name: 'ab', count: 1 }], columns, { width: null, paint })).toBe(
      '<bold>NAME</>  <bold>COUNT</>\n<green>ab  </>  1\n',
    );
  });
});

describe('a relative time', () => {
  const now = Date.parse('2026-11-27T12:00:00Z');
  it.each([
    ['2026-11-27T12:00:00Z', 'now'],
    ['2026-11-27T11:59:30Z', '30 s ago'],
    ['2026-11-27T11:00:30Z', '59 min ago'],
    ['2026-11-25T11:00:00Z', '2 d ago'],
    ['2026-11-27T15:30:00Z', 'in 3 h'],
  ])('of %s is %s', (time, text) => expect(relativeTime(time, now)).toBe(text));
  it('of no time is a dash', () => expect(relativeTime(null)).toBe('–'));
});

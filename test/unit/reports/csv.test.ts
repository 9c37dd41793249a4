import { expect, it } from 'vitest';
import { cell } from '../../../src/fleet/reports/csv.ts';

it.each([
  [null, ''],
  [0, '0'],
  [-1.5, '-1.5'],
  ['acme', 'acme'],
  ['a,b', '"a,b"'],
  ['say "a"', '"say ""a"""'],
  ['two\nlines', '"two\nlines"'],
  // Spreadsheets would evaluate these as formulas.
  ['=1+1', "'=1+1"],
  ['+1', "'+1"],
  ['-1', "'-1"],
  ['@SUM(A1)', "'@SUM(A1)"],
  ['\tx', "'\tx"],
  ['=HYPERLINK("http://x","y")', `"'=HYPERLINK(""http://x"",""y"")"`],
])('a cell of CSV: %j', (value, expected) => {
  expect(cell(value)).toBe(expected);
});

import { expect, it } from 'vitest';
import { tokenizeWithin } from '../../../core/data/row-budget.ts';
import { tokenizeRows } from '../../../core/data/tokenize.ts';
import { characterTokenizer } from './support/character-tokenizer.ts';

const OPTIONS = { tokenizer: characterTokenizer(), config: { maxPositionEmbeddings: 64, eosTokenIds: [0] } };

/** Rows of ten tokens each, one of which is the completion. */
function rows(count: number) {
  return Array.from({ length: count }, (_, i) => ({ prompt: `${i}`.padStart(9, '0'), completion: 'x', line: i + 1 }));
}

it('takes all rows that fit, as they are', () => {
  const all = rows(700);
  expect(tokenizeWithin(all, OPTIONS, { tokens: 7000 })).toEqual(tokenizeRows(all, OPTIONS));
});

it('takes the same random sample each time, in the order of the rows and from all over them', () => {
  const all = rows(10_000);
  const chosen = tokenizeWithin(all, OPTIONS, { tokens: 5009 });
  expect(chosen).toHaveLength(500);
  expect(tokenizeWithin(all, OPTIONS, { tokens: 5009 })).toEqual(chosen);
  const lines = chosen.map(({ row }) => row.line!);
  expect(lines).toEqual([...new Set(lines)].sort((a, b) => a - b));
  for (let tenth = 0; tenth < 10; tenth++) {
    const count = lines.filter((line) => Math.floor((line - 1) / 1000) === tenth).length;
    expect(count).toBeGreaterThan(20);
  }
});

it('counts what is generated: so many tokens for each row, or as many as the longest completion has', () => {
  const all = rows(1000);
  expect(tokenizeWithin(all, OPTIONS, { tokens: 3000, generated: 20 })).toHaveLength(100);
  expect(tokenizeWithin(all, OPTIONS, { tokens: 1100, generated: 0 })).toHaveLength(100);
});

it('takes one row if none fits', () => {
  expect(tokenizeWithin(rows(1000), OPTIONS, { tokens: 1 })).toHaveLength(1);
});

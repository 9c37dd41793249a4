import { describe, expect, it } from 'vitest';
import { keepGateApart, splitRows } from '../../../core/data/task-data.ts';

function rows(count: number, split?: 'train' | 'validation' | 'test') {
  return Array.from({ length: count }, (_, i) => ({
    prompt: `${split ?? 'row'} ${i}`,
    completion: 'x',
    line: i + 1,
    ...(split && { split }),
  }));
}

describe('splitRows', () => {
  it('keeps the splits that rows name; a row without one is a training row', () => {
    const all = [...rows(5, 'train'), ...rows(3, 'validation'), ...rows(4, 'test'), ...rows(2)];
    const { train, validation, test } = splitRows(all);
    expect([train.length, validation.length, test.length]).toEqual([7, 3, 4]);
    expect(test.every(({ prompt }) => prompt.startsWith('test'))).toBe(true);
  });

  it('deals rows out without overlap where none is named, the same whatever their order', () => {
    const all = rows(200);
    const { train, validation, test } = splitRows(all);
    expect([train.length, validation.length, test.length]).toEqual([160, 20, 20]);
    expect(new Set([...train, ...validation, ...test].map(({ prompt }) => prompt)).size).toBe(200);
    const reversed = splitRows([...all].reverse());
    expect(reversed.test.map(({ prompt }) => prompt).sort()).toEqual(test.map(({ prompt }) => prompt).sort());
  });

  it('keeps equal prompts together', () => {
    const all = rows(50).flatMap((row) => [row, { ...row, completion: 'y' }]);
    const { train, validation, test } = splitRows(all);
    const prompts = [train, validation, test].map((list) => new Set(list.map(({ prompt }) => prompt)));
    expect(prompts.map((set) => set.size).reduce((a, b) => a + b)).toBe(50);
  });

  it('divides the validation rows into search and gate where no row is a test row', () => {
    const { train, validation, test } = splitRows([...rows(5, 'train'), ...rows(300, 'validation')]);
    expect([train.length, validation.length, test.length]).toEqual([5, 64, 236]);
  });
});

describe('keepGateApart', () => {
  it('takes rows with the prompt of a gate row out of the search, and no others', () => {
    const [search, gate] = [rows(5, 'validation'), rows(4, 'test')];
    const shared = { ...gate[1]!, completion: 'y', split: 'validation' as const };
    const { rows: apart, removed } = keepGateApart({
      train: rows(3, 'train'),
      validation: [...search, shared],
      test: gate,
    });
    expect(removed).toBe(1);
    expect(apart.validation).toEqual(search);
    expect(apart.test).toEqual(gate);
    const prompts = new Set(apart.test.map(({ prompt }) => prompt));
    expect(apart.validation.some(({ prompt }) => prompts.has(prompt))).toBe(false);
  });
});

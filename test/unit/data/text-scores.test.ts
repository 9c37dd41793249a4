import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { cannotMatch, exactMatchOf, rougeL, tokenF1 } from '../../../core/data/evaluation/text-scores.ts';

const FILE = path.join(import.meta.dirname, '../../fixtures/golden/text-metrics/cases.json');
interface Case {
  readonly text: string;
  readonly reference: string;
  readonly rouge_l: number;
  readonly token_f1: number;
}
const { cases } = JSON.parse(readFileSync(FILE, 'utf8')) as { cases: Case[] };

it.each(cases)('gives the values of rouge-score and of the SQuAD script: $text, $reference', (each) => {
  expect(rougeL(each.text, each.reference)).toBeCloseTo(each.rouge_l, 12);
  expect(tokenF1(each.text, each.reference)).toBeCloseTo(each.token_f1, 12);
});

it('scores by hand: four of five words in order, and a bag of three common words', () => {
  // Longest common subsequence "w x y z" of "w q x y z" and "w x y z": precision 4/5, recall 1.
  expect(rougeL('w q x y z', 'w x y z')).toBeCloseTo(8 / 9, 12);
  // Common words cat, sat and mat; precision 3/3, recall 3/4.
  expect(tokenF1('the mat sat, cat', 'a cat sat on mat')).toBeCloseTo(6 / 7, 12);
});

it('matches texts exactly but for white space around them', () => {
  expect(exactMatchOf(' yes\n', 'yes')).toBe(1);
  expect(exactMatchOf('yes', 'Yes')).toBe(0);
  expect(exactMatchOf('yes  sir', 'yes sir')).toBe(0);
});

it('knows from the beginning of a text when it can match no more', () => {
  for (const text of [' yes sir\n', 'yes sir', '\n\nyes sir  ']) {
    for (let end = 0; end <= text.length; end++) expect(cannotMatch(text.slice(0, end), 'yes sir')).toBe(false);
  }
  for (const beginning of ['no', 'Y', 'yes  ', 'yes sir.', 'yes sir !']) {
    expect(cannotMatch(beginning, 'yes sir'), beginning).toBe(true);
  }
  expect(cannotMatch(' ', '')).toBe(false);
});

it('compares long texts in little memory', () => {
  const words = (count: number, step: number) => Array.from({ length: count }, (_, i) => `w${i * step}`).join(' ');
  expect(rougeL(words(4000, 1), words(2000, 2))).toBeCloseTo((2 * 2000) / 6000, 12);
});

import { expect, it } from 'vitest';
import {
  judge,
  ratioFinding,
  together,
  type Finding,
  type Result,
} from '../../../experiments/report/hypotheses/judgement.ts';

const LOWER = { end: 'lower', value: 2 } as const;
const UPPER = { end: 'upper', value: 0 } as const;

it.each<[readonly [number, number] | null, Parameters<typeof judge>[1], Result]>([
  [[2, 3], LOWER, 'reached'],
  [[2, 3], { ...LOWER, strict: true }, 'cannot be said'],
  [[2.1, 3], { ...LOWER, strict: true }, 'reached'],
  [[1, 2], LOWER, 'cannot be said'],
  [[1, 2], { ...LOWER, strict: true }, 'missed'],
  [[1, 1.9], LOWER, 'missed'],
  [[-2, 0], UPPER, 'reached'],
  [[-2, 0.1], UPPER, 'cannot be said'],
  [[0.1, 2], UPPER, 'missed'],
  [null, UPPER, 'cannot be said'],
])('an interval of %j with the bound %j is: %s', (interval, bound, result) => {
  expect(judge(interval, bound)).toBe(result);
});

it.each<[boolean, Result]>([
  [false, 'missed'],
  [true, 'cannot be said'],
])('a ratio below its bound whose upper end is a lower bound (%s): %s', (isBound, result) => {
  const ends = [
    { value: 1, bound: false },
    { value: 1.5, bound: isBound },
  ] as const;
  const ready = { both: 1, strategy: 0, baseline: 0, neither: 0 };
  expect(ratioFinding({ median: ends[0], interval: ends, ready }, { bound: LOWER }).result).toBe(result);
});

it.each<[readonly Result[], Result]>([
  [['reached', 'reached'], 'reached'],
  [['reached', 'cannot be said'], 'cannot be said'],
  [['cannot be said', 'missed', 'reached'], 'missed'],
  [[], 'cannot be said'],
])('the worst of what decides counts: %j', (results, expected) => {
  const finding = (result: Result, decides: boolean): Finding => {
    return { label: '', value: 0, interval: null, text: '', result, decides };
  };
  const findings = [...results.map((result) => finding(result, true)), finding('missed', false)];
  expect(together({ id: 'H', claim: '', condition: '', findings, notes: [] }).result).toBe(expected);
});

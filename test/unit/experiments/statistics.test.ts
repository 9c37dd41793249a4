import { describe, expect, it } from 'vitest';
import { medianRatio, ttrRatio } from '../../../experiments/report/ratio.ts';
import { negativeFlips, spread } from '../../../experiments/report/statistics.ts';
import { kaplanMeier, medianTime } from '../../../experiments/report/survival.ts';

const ready = (ms: number) => ({ ms, happened: true });
const givenUp = (ms: number) => ({ ms, happened: false });

describe('Kaplan and Meier', () => {
  it('is what it is by hand: n at risk 6, 4, 2 with the events 1, 1, 1', () => {
    const steps = kaplanMeier([ready(1), givenUp(2), ready(3), givenUp(4), ready(5), givenUp(6)]);
    const shares = [0, 1 - 5 / 6, 1 - 5 / 6, 1 - (5 / 6) * (3 / 4), 1 - (5 / 6) * (3 / 4), 1 - (5 / 6) * (3 / 4) * (1 / 2), 1 - (5 / 6) * (3 / 8)];
    expect(steps.map(({ ms }) => ms)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    steps.forEach(({ share }, i) => expect(share).toBeCloseTo(shares[i]!, 12));
    expect(steps.map(({ censored }) => censored)).toEqual([0, 0, 1, 0, 1, 0, 1]);
  });

  it('counts a run that was given up at the time of an event among those at risk', () => {
    expect(kaplanMeier([ready(1), givenUp(1)]).at(-1)!.share).toBeCloseTo(0.5);
  });

  it('has a median where a half got ready, and none else', () => {
    expect(medianTime([ready(3), ready(1), givenUp(9)])).toBe(3);
    expect(medianTime([ready(3), givenUp(8), givenUp(9)])).toBeNull();
  });
});

describe('ratios of times to readiness', () => {
  it('are lower bounds where the baseline was given up, and 0 where the strategy was', () => {
    expect(ttrRatio(ready(2), ready(10))).toEqual({ value: 5, bound: false });
    expect(ttrRatio(ready(2), givenUp(10))).toEqual({ value: 5, bound: true });
    expect(ttrRatio(givenUp(2), ready(10))).toEqual({ value: 0, bound: false });
    expect(ttrRatio(givenUp(2), givenUp(10))).toEqual({ value: 0, bound: false });
  });

  it('have a median that is a lower bound only where a bound could move it', () => {
    const of = (value: number, bound = false) => ({ value, bound });
    expect(medianRatio([of(1), of(4), of(9, true)])).toEqual(of(4));
    expect(medianRatio([of(1, true), of(4), of(9)])).toEqual(of(4, true));
    expect(medianRatio([of(1), of(4), of(6, true), of(9)])).toEqual(of(5, true));
    expect(medianRatio([])).toBeNull();
  });
});

describe('over seeds and rows', () => {
  it('gives mean and sample deviation', () => {
    expect(spread([2, 4, 9])).toEqual({ mean: 5, deviation: Math.sqrt((9 + 1 + 16) / 2), count: 3 });
    expect(spread([2])).toEqual({ mean: 2, deviation: null, count: 1 });
    expect(spread([])).toBeNull();
  });

  it('counts rows that were right and are wrong', () => {
    expect(negativeFlips('1101', '0111')).toBe(0.25);
    expect(negativeFlips(null, '01')).toBeNull();
    expect(() => negativeFlips('110', '1101')).toThrow('4 rows, expected the 3');
  });
});

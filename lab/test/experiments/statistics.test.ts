import { describe, expect, it } from 'vitest';
import { medianRatio, ttrRatio } from '../../experiments/report/ratio.ts';
import { negativeFlips, spread } from '../../experiments/report/statistics.ts';
import { medianTime, readinessCurve } from '../../experiments/report/readiness.ts';

const ready = (ms: number) => ({ ms, happened: true });
const givenUp = (ms: number) => ({ ms, happened: false });

describe('the share of ready jobs', () => {
  it('is a share of all jobs, with a step at every time at which a job ended', () => {
    expect(readinessCurve([ready(3), givenUp(2), ready(1), givenUp(3)])).toEqual([
      { ms: 0, share: 0, gaveUp: 0 },
      { ms: 1, share: 0.25, gaveUp: 0 },
      { ms: 2, share: 0.25, gaveUp: 1 },
      { ms: 3, share: 0.5, gaveUp: 1 },
    ]);
  });

  it('does not count jobs that gave up early as successes', () => {
    const durations = [...Array.from({ length: 5 }, () => givenUp(1)), ready(2)];
    expect(readinessCurve(durations).at(-1)!.share).toBeCloseTo(1 / 6);
    expect(medianTime(durations)).toBeNull();
  });

  it('has a median if half of the jobs became ready', () => {
    expect(medianTime([ready(3), ready(1), givenUp(9)])).toBe(3);
    expect(medianTime([ready(3), givenUp(8)])).toBe(3);
  });
});

describe('ratios of times to readiness', () => {
  it('are lower bounds if the baseline was given up, and 0 if the strategy was', () => {
    expect(ttrRatio(ready(2), ready(10))).toEqual({ value: 5, bound: false });
    expect(ttrRatio(ready(2), givenUp(10))).toEqual({ value: 5, bound: true });
    expect(ttrRatio(givenUp(2), ready(10))).toEqual({ value: 0, bound: false });
    expect(ttrRatio(givenUp(2), givenUp(10))).toEqual({ value: 0, bound: false });
  });

  it('have a median that is a lower bound only if a bound could move it', () => {
    const of = (value: number, bound = false) => ({ value, bound });
    expect(medianRatio([of(1), of(4), of(9, true)])).toEqual(of(4));
    expect(medianRatio([of(1, true), of(4), of(9)])).toEqual(of(4, true));
    expect(medianRatio([of(1), of(4), of(6, true), of(9)])).toEqual(of(5, true));
    expect(medianRatio([])).toBeNull();
  });
});

describe('statistics over seeds and rows', () => {
  it('are mean and sample standard deviation', () => {
    expect(spread([2, 4, 9])).toEqual({ mean: 5, deviation: Math.sqrt((9 + 1 + 16) / 2), count: 3 });
    expect(spread([2])).toEqual({ mean: 2, deviation: null, count: 1 });
    expect(spread([])).toBeNull();
  });

  it('count rows that were right and are wrong now', () => {
    expect(negativeFlips('1101', '0111')).toBe(0.25);
    expect(negativeFlips(null, '01')).toBeNull();
    expect(() => negativeFlips('110', '1101')).toThrow(/4 rows .* 3/);
  });
});

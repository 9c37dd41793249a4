import { describe, expect, it } from 'vitest';
import { lowerBoundOfMean, meanPValue } from '../../../core/statistics/betting-test.ts';
import { lowerBoundOfShare, shortfallPValue } from '../../../core/statistics/binomial-test.ts';
import {
  exactLowerBound,
  inferiorityPValue,
  type InferiorityTest,
} from '../../../core/statistics/exact-paired-test.ts';
import { tangoStatistic, type Flips } from '../../../core/statistics/paired-statistics.ts';
import { Random } from '../../../core/statistics/random.ts';
import { timeProcessor } from '../../processor-time.ts';

describe('the unconditional exact test of inferiority', () => {
  it('of 133 rows without a flip has 0.98¹³³ at a margin of two points, where Tango’s test has 5 %', () => {
    const flips = { gains: 0, losses: 0, rows: 133 };
    expect(inferiorityPValue({ ...flips, margin: 0.02 })).toBeCloseTo(0.98 ** 133, 10);
    expect(0.98 ** 133).toBeCloseTo(0.068, 3);
    expect(tangoStatistic(flips, -0.02)).toBeCloseTo(1.6475, 4);
  });

  it('of one row is the chance that it is not lost', () => {
    // The only outcome that is at least as good is no loss: 1 − q, largest at q = margin.
    expect(inferiorityPValue({ gains: 0, losses: 0, rows: 1, margin: 0.3 })).toBeCloseTo(0.7, 10);
    expect(inferiorityPValue({ gains: 0, losses: 1, rows: 1, margin: 0.3 })).toBeCloseTo(1, 10);
  });

  it('of two rows with a gain each, at no margin, is the square of a half', () => {
    // Both rows are gains with probability q², and q is at most a half.
    expect(inferiorityPValue({ gains: 2, losses: 0, rows: 2, margin: 0 })).toBeCloseTo(0.25, 10);
  });

  /** Adds up the probability of every outcome, for every share of losses on a fine grid. */
  function byEnumeration({ margin, rows, ...observed }: InferiorityTest): number {
    const least = tangoStatistic({ ...observed, rows }, -margin) - 1e-9;
    const outcomes: Flips[] = [];
    for (let losses = 0; losses <= rows; losses++) {
      for (let gains = 0; gains <= rows - losses; gains++) outcomes.push({ gains, losses, rows });
    }
    const against = outcomes.filter((flips) => tangoStatistic(flips, -margin) >= least);
    const factorial = (n: number): number => (n < 2 ? 1 : n * factorial(n - 1));
    const ways = against.map(
      ({ gains, losses }) =>
        factorial(rows) / (factorial(gains) * factorial(losses) * factorial(rows - gains - losses)),
    );
    let largest = 0;
    const [from, to] = [Math.max(0, margin), (1 + margin) / 2];
    for (let i = 0; i <= 4000; i++) {
      const loss = from + ((to - from) * i) / 4000;
      const gain = Math.max(0, loss - margin);
      const rest = Math.max(0, 1 - loss - gain);
      const sum = against.reduce(
        (total, flips, k) =>
          total + ways[k]! * gain ** flips.gains * loss ** flips.losses * rest ** (rows - flips.gains - flips.losses),
        0,
      );
      largest = Math.max(largest, sum);
    }
    return largest;
  }

  it.each<InferiorityTest>([
    { gains: 0, losses: 0, rows: 20, margin: 0.05 },
    { gains: 3, losses: 1, rows: 20, margin: 0.05 },
    { gains: 5, losses: 5, rows: 18, margin: 0.2 },
    { gains: 1, losses: 4, rows: 15, margin: 0.4 },
    { gains: 6, losses: 1, rows: 20, margin: 0 },
    { gains: 9, losses: 0, rows: 20, margin: -0.1 },
  ])('is the largest sum over all outcomes for %o', (test) => {
    expect(inferiorityPValue(test)).toBeCloseTo(byEnumeration(test), 5);
  });

  it('orders outcomes by a statistic that grows with gains and falls with losses', () => {
    for (const margin of [0.01, 0.1, 0, -0.1]) {
      for (let losses = 0; losses < 30; losses++) {
        for (let gains = 0; gains + losses < 30; gains++) {
          const here = tangoStatistic({ gains, losses, rows: 30 }, -margin);
          expect(tangoStatistic({ gains: gains + 1, losses, rows: 30 }, -margin)).toBeGreaterThan(here);
          expect(tangoStatistic({ gains, losses: losses + 1, rows: 30 }, -margin)).toBeLessThan(here);
        }
      }
    }
  });

  it.each([
    { loss: 0.02, rows: 400, margin: 0.02, level: 0.05 },
    { loss: 0.035, rows: 400, margin: 0.02, level: 0.05 },
    { loss: 0.1, rows: 150, margin: 0.05, level: 0.0133 },
    { loss: 0.04, rows: 60, margin: 0.03, level: 0.05 },
  ])('rejects a version worse by just the margin no more often than its level: %o', ({ loss, rows, margin, level }) => {
    const random = Random.fromSeed(rows + Math.round(1000 * loss));
    const rejected = new Map<string, boolean>();
    const draws = 8000;
    let errors = 0;
    for (let draw = 0; draw < draws; draw++) {
      let [gains, losses] = [0, 0];
      for (let i = 0; i < rows; i++) {
        const u = random.uniform();
        if (u < loss) losses++;
        else if (u < loss + loss - margin) gains++;
      }
      const key = `${gains} ${losses}`;
      if (!rejected.has(key)) rejected.set(key, inferiorityPValue({ gains, losses, rows, margin }) <= level);
      if (rejected.get(key)) errors++;
    }
    // Three standard errors of the simulation.
    expect(errors / draws).toBeLessThan(level + 3 * Math.sqrt((level * (1 - level)) / draws));
  });

  it('takes less than a second for 10,000 rows', async () => {
    const table = { gains: 150, losses: 180, rows: 10_000, margin: 0.005 };
    const { result, processorMs } = await timeProcessor(() => inferiorityPValue(table));
    expect(result).toBeGreaterThan(0);
    expect(processorMs).toBeLessThan(1000);
  });

  it('bounds the difference where it rejects no more', () => {
    const flips = { gains: 6, losses: 9, rows: 400 };
    const bound = exactLowerBound(flips, 0.05);
    expect(inferiorityPValue({ ...flips, margin: -bound })).toBeCloseTo(0.05, 3);
    expect(exactLowerBound({ gains: 40, losses: 2, rows: 100 }, 0.05)).toBeGreaterThan(0.2);
  });

  it('refuses a margin that no difference has', () => {
    expect(() => inferiorityPValue({ gains: 0, losses: 0, rows: 3, margin: 1 })).toThrow('margin is 1');
  });
});

describe('the exact test of a share', () => {
  it('of nine rows of ten is 11 / 1024 at a half', () => {
    expect(shortfallPValue({ right: 9, rows: 10, share: 0.5 })).toBeCloseTo(11 / 1024, 12);
    expect(shortfallPValue({ right: 0, rows: 10, share: 0.5 })).toBe(1);
  });

  it('bounds a share as Clopper and Pearson do', () => {
    // All of n rows: the bound is level^(1/n).
    expect(lowerBoundOfShare({ right: 20, rows: 20 }, 0.05)).toBeCloseTo(0.05 ** (1 / 20), 8);
    expect(lowerBoundOfShare({ right: 9, rows: 10 }, 0.05)).toBeCloseTo(0.6058, 4);
  });
});

describe('the test of a mean by betting', () => {
  it('of equal values multiplies the capital by what each bet gains', () => {
    // Bets of √(2 ln 20 / n / σ̂²), at most 3/4 / mean; after t halves, σ̂² is 1/4 / (t + 1).
    const [rows, mean, level] = [50, 0.4, 0.05];
    let capital = 1;
    for (let t = 0; t < rows; t++) {
      const bet = Math.min(Math.sqrt((2 * Math.log(1 / level)) / rows / (0.25 / (t + 1))), 0.75 / mean);
      capital *= 1 + bet * (0.5 - mean);
    }
    const values = new Array<number>(rows).fill(0.5);
    expect(meanPValue({ values, mean, level })).toBeCloseTo(1 / capital, 12);
  });

  it.each([
    ['rare large values', (u: number) => (u < 0.02 ? 1 : 0), 0.02],
    ['rare losses', (u: number) => (u < 0.04 ? 0 : 0.5), 0.48],
    ['values of any size', (u: number) => u, 0.5],
  ])('rejects a mean that is true no more often than its level: %s', (_, valueOf, mean) => {
    const random = Random.fromSeed(5);
    const draws = 4000;
    let errors = 0;
    for (let draw = 0; draw < draws; draw++) {
      const values = Float64Array.from({ length: 200 }, () => valueOf(random.uniform()));
      if (meanPValue({ values, mean, level: 0.05 }) <= 0.05) errors++;
    }
    expect(errors / draws).toBeLessThan(0.05 + 3 * Math.sqrt((0.05 * 0.95) / draws));
  });

  it('bounds the mean where it rejects no more', () => {
    const random = Random.fromSeed(9);
    const values = Float64Array.from({ length: 300 }, () => random.uniform());
    const test = { values, mean: 0.45, level: 0.05 };
    const bound = lowerBoundOfMean(test);
    expect(bound).toBeGreaterThan(0.4);
    expect(meanPValue({ ...test, mean: bound })).toBeCloseTo(0.05, 6);
  });

  it('may be made after every value, with bets that are chosen for all of them', () => {
    const random = Random.fromSeed(5);
    let errors = 0;
    for (let draw = 0; draw < 2000; draw++) {
      const values = Float64Array.from({ length: 200 }, () => random.uniform());
      const ends = [50, 100, 150, 200].map((end) => values.subarray(0, end));
      const found = ends.map((some) => meanPValue({ values: some, of: 200, mean: 0.5, level: 0.05 }));
      expect(found).toEqual([...found].sort((a, b) => b - a));
      if (found.some((p) => p <= 0.05)) errors++;
    }
    expect(errors / 2000).toBeLessThan(0.05 + 3 * Math.sqrt((0.05 * 0.95) / 2000));
  });

  it('rejects nothing where a value is not a number', () => {
    expect(meanPValue({ values: [1, NaN, 1, 1], mean: 0.1, level: 0.05 })).toBe(1);
  });
});

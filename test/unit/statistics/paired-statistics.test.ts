import { describe, expect, it } from 'vitest';
import { Random } from '../../../core/statistics/random.ts';
import {
  countFlips,
  lossDifference,
  lowerBoundOfDifference,
  lowerBoundOfScoreDifference,
  scoreDifference,
  upperBoundOfLossDifference,
} from '../../../core/statistics/paired-statistics.ts';
import { normalQuantile } from '../../../core/statistics/distributions.ts';

describe('normalQuantile', () => {
  it.each([
    [0.5, 0],
    [0.95, 1.6448536269514722],
    [0.975, 1.959963984540054],
    [0.8, 0.8416212335729143],
    [0.001, -3.090232306167813],
  ])('of %f is %f', (p, z) => expect(normalQuantile(p)).toBeCloseTo(z, 10));

  it('refuses what is no probability', () => expect(() => normalQuantile(1)).toThrow('between 0 and 1'));
});

describe('the lower bound of a difference of paired proportions', () => {
  it('is the published Tango interval of hyper-responsiveness before and after transplantation', () => {
    // Fagerland, Lydersen and Laake, Statistics in Medicine 33, 2014, give −0.517 to −0.026 as the two-sided 95 %
    // interval of 21 pairs, of which 1 and 7 are discordant.
    const flips = { gains: 1, losses: 7, rows: 21 };
    expect(lowerBoundOfDifference(flips, 0.975)).toBeCloseTo(-0.517, 3);
    expect(-lowerBoundOfDifference({ ...flips, gains: 7, losses: 1 }, 0.975)).toBeCloseTo(-0.026, 3);
  });

  it('without a flip is −z² / (n + z²)', () => {
    const z = normalQuantile(0.95);
    expect(lowerBoundOfDifference({ gains: 0, losses: 0, rows: 400 }, 0.95)).toBeCloseTo(
      -(z ** 2) / (400 + z ** 2),
      10,
    );
  });

  it('is 0 exactly where McNemar’s statistic is z', () => {
    // (18 − 6) / √24 = 2.449…
    const bound = lowerBoundOfDifference({ gains: 18, losses: 6, rows: 300 }, 0.9928471);
    expect(bound).toBeCloseTo(0, 6);
  });

  it('solves the constrained likelihood, found by a grid', () => {
    const [gains, losses, rows] = [9, 14, 120];
    const bound = lowerBoundOfDifference({ gains, losses, rows }, 0.95);
    const logLikelihood = (q: number) =>
      gains * Math.log(q + bound) + losses * Math.log(q) + (rows - gains - losses) * Math.log(1 - 2 * q - bound);
    const grid = Array.from({ length: 400_000 }, (_, i) => -bound + (i + 1) * 1e-6).filter((q) => q > 0);
    const share = grid.reduce((best, q) => (logLikelihood(q) > logLikelihood(best) ? q : best), grid[0]!);
    const statistic = (gains - losses - rows * bound) / Math.sqrt(rows * (2 * share + bound * (1 - bound)));
    expect(statistic).toBeCloseTo(1.64485, 3);
  });

  /** Returns the share of simulated comparisons whose bound is below the true difference. */
  function coverage(gain: number, loss: number, rows: number, draws = 4000): number {
    const random = Random.fromSeed(Math.round(1e6 * (gain + 10 * loss)) + rows);
    let covered = 0;
    for (let draw = 0; draw < draws; draw++) {
      let [gains, losses] = [0, 0];
      for (let i = 0; i < rows; i++) {
        const u = random.uniform();
        if (u < gain) gains++;
        else if (u < gain + loss) losses++;
      }
      if (lowerBoundOfDifference({ gains, losses, rows }, 0.95) <= gain - loss) covered++;
    }
    return covered / draws;
  }

  // Counts cannot give exactly 95 %; Tango’s own tables range from about 93 to 97 %.
  it.each([
    [0.03, 0.03, 400],
    [0.05, 0.08, 400],
    [0.02, 0.04, 400],
    [0.1, 0.05, 200],
    [0.08, 0.13, 100],
    [0.15, 0.15, 100],
  ])('covers the truth in about 95 of 100 draws: gains %f, losses %f, %i rows', (gain, loss, rows) => {
    const covered = coverage(gain, loss, rows);
    expect(covered).toBeGreaterThan(0.935);
    expect(covered).toBeLessThan(0.98);
  });
});

describe('flips and losses of the same rows', () => {
  it('counts gains and losses', () => {
    expect(countFlips([1, 1, 0, 0, 1], [1, 0, 1, 0, 0])).toEqual({ gains: 1, losses: 2, rows: 5 });
    expect(() => countFlips([1], [1, 0])).toThrow('2 rows are paired with 1');
  });

  it('weighs a loss difference by tokens, by hand', () => {
    // Differences 1 and −1 over 1 and 3 tokens have the mean 0, residuals 1 and −1, and SE √(2 · 2) / 4.
    const found = lossDifference({ before: [1, 4], after: [2, 3], tokens: [1, 3] });
    expect(found.value).toBe(0);
    expect(found.standardError).toBeCloseTo(0.5, 12);
  });

  it('bounds a difference that is the same in every row by itself', () => {
    expect(
      upperBoundOfLossDifference(
        { before: [1, 2, 3], after: [1.5, 2.5, 3.5], tokens: [1, 1, 1] },
        { confidence: 0.95 },
      ),
    ).toBe(0.5);
  });

  it('of scores lies below their mean difference as far as that of the opposite losses lies above it', () => {
    const [before, after] = [
      [0.2, 0.5, 1, 0, 0.75],
      [0.4, 0.5, 0.7, 0.1, 1],
    ] as const;
    expect(scoreDifference({ before, after }).value).toBeCloseTo(0.05, 12);
    const opposite = { before: after, after: before, tokens: [1, 1, 1, 1, 1] };
    const bound = lowerBoundOfScoreDifference({ before, after }, { confidence: 0.9 });
    expect(bound).toBe(-upperBoundOfLossDifference(opposite, { confidence: 0.9 }));
    expect(bound).toBeLessThan(0.05);
    expect(lowerBoundOfScoreDifference({ before, after: before }, { confidence: 0.9 })).toBeCloseTo(0, 12);
  });

  it('covers the true loss difference in about 95 of 100 draws, also where a few rows carry most of it', () => {
    const random = Random.fromSeed(5);
    const draws = 300;
    const covered = { even: 0, skewed: 0 };
    for (let draw = 0; draw < draws; draw++) {
      const tokens = Array.from({ length: 80 }, () => 1 + random.integer(6));
      const before = tokens.map((count) => count * (1 + Math.abs(random.normal())));
      const even = before.map((loss, i) => loss + tokens[i]! * 0.02 + 0.3 * random.normal());
      // Differences are exponential with mean 0.1 per token, so the true difference is 0.1.
      const skewed = before.map((loss, i) => loss - tokens[i]! * 0.1 * Math.log(1 - random.uniform()));
      const options = { confidence: 0.95, seed: draw };
      if (upperBoundOfLossDifference({ before, after: even, tokens }, options) >= 0.02) covered.even++;
      if (upperBoundOfLossDifference({ before, after: skewed, tokens }, options) >= 0.1) covered.skewed++;
    }
    for (const count of Object.values(covered)) {
      expect(count / draws).toBeGreaterThan(0.92);
      expect(count / draws).toBeLessThan(0.98);
    }
  });
});

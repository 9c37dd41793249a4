import { describe, expect, it } from 'vitest';
import { Random } from '../../../../core/statistics/random.ts';
import { belowTheirMargin } from '../../../experiments/report/hypotheses/certified.ts';
import { intervalOfShare, shareOverTenants, type TenantCount } from '../../../experiments/report/share-interval.ts';
import { meanInterval } from '../../../experiments/report/statistics.ts';
import type { CellRecord } from '../../../experiments/records.ts';
import { shareOf, simulateResults, type World } from '../support/simulated-results.ts';

describe('the interval of a share', () => {
  it.each([
    [1, 5, 0.00505, 0.71642],
    [0, 15, 0, 0.21802],
    [15, 15, 0.78198, 1],
    [10, 100, 0.049, 0.17622],
  ])('of %d of %d is that of Clopper and Pearson', (count, trials, low, high) => {
    expect(intervalOfShare(count, trials)[0]).toBeCloseTo(low, 4);
    expect(intervalOfShare(count, trials)[1]).toBeCloseTo(high, 4);
  });

  it('of a count with a fraction reaches as far as those of its neighbors', () => {
    const [least, between, most] = [1, 1.5, 2].map((count) => intervalOfShare(count, 15));
    expect(between).toEqual([least![0], most![1]]);
  });
});

/** Draws tenants of 20 jobs. The share of cases is larger in one of five tenants, and 0.07 on average. */
function unlikeTenants(seed: number): TenantCount[] {
  const random = Random.fromSeed(seed);
  return Array.from({ length: 15 }, () => {
    const share = random.uniform() < 0.2 ? 0.35 : 0;
    return { count: Array.from({ length: 20 }, () => random.uniform()).filter((one) => one < share).length, of: 20 };
  });
}

describe('a share over tenants', () => {
  const holds = (interval: readonly [number, number]) => interval[0] <= 0.07 && 0.07 <= interval[1];

  it('has an interval that holds the truth in at least 95 of 100 experiments, where jobs of a tenant are alike', () => {
    expect(shareOf(400, (seed) => holds(shareOverTenants(unlikeTenants(seed))!.interval))).toBeGreaterThanOrEqual(0.95);
  });

  it('which the interval of jobs that are taken for independent does not', () => {
    const jobs = (seed: number) => unlikeTenants(seed).reduce((sum, { count }) => sum + count, 0);
    expect(shareOf(400, (seed) => holds(intervalOfShare(jobs(seed), 300)))).toBeLessThan(0.85);
  });

  it('counts each tenant with jobs once', () => {
    const found = shareOverTenants([
      { count: 1, of: 2 },
      { count: 0, of: 30 },
      { count: 0, of: 0 },
    ])!;
    expect(found.mean).toBe(0.25);
    expect(found.interval).toEqual(intervalOfShare(0.5, 2));
    expect(shareOverTenants([{ count: 0, of: 0 }])).toBeNull();
  });
});

describe('the interval of a version’s difference over test rows', () => {
  it('holds the truth in 95 of 100 samples of rows', () => {
    const share = shareOf(500, (seed) => {
      const random = Random.fromSeed(seed);
      const differences = Array.from({ length: 200 }, () => {
        const chance = random.uniform();
        return chance < 0.07 ? 1 : chance < 0.1 ? -1 : 0;
      });
      const { low, high } = meanInterval(differences);
      return low <= 0.04 && 0.04 <= high;
    });
    // 500 samples have a standard error of one point.
    expect(share).toBeGreaterThan(0.925);
    expect(share).toBeLessThan(0.975);
  });

  it('is the mean where nothing differs, and has no ends for a single row', () => {
    expect(meanInterval([0, 0, 0])).toEqual({ mean: 0, low: 0, high: 0 });
    expect(meanInterval([1])).toEqual({ mean: 1, low: -Infinity, high: Infinity });
  });
});

describe('certified publications', () => {
  const world: World = { strategies: { auto: { loss: 0, gain: 0, seconds: 5 } }, copy: { loss: 0, gain: 0 } };
  const size = { seeds: 4, testRows: 1000, tasks: ['product-reviews', 'pronunciation'], rows: [64, 256] };
  const simulated = (settings = 'baselines: []') => simulateResults(world, { ...size, settings }, 1).evidence;

  /** Makes publications in which the first job of each tenant loses the given number of 1,000 rows. */
  function losing(rows: number, evidence = simulated()) {
    const cells = evidence.cells.map((cell): CellRecord => {
      if (cell.rows !== 64) return cell;
      const old = evidence.old(cell)!;
      let left = rows;
      const worse = [...(old.scores ?? [...old.right!].map(Number))].map((score) =>
        score === 1 && left-- > 0 ? 0 : score,
      );
      const first = old.scores ? { ...old, scores: worse } : { ...old, right: worse.join('') };
      return { ...cell, first };
    });
    return belowTheirMargin({ ...evidence, cells }).findings.map(({ value }) => value);
  }

  it('are judged by their share itself, which few tenants cannot prove', () => {
    const judged = belowTheirMargin(simulated());
    expect(judged.result).toBe('reached');
    expect(judged.findings[0]!.interval![1]).toBeGreaterThan(0.05);
  });

  it('are below their margin by the mean over test rows, whatever the metric, and clearly so by the lower end', () => {
    // The margin is 3 points: exactly 30 of 1,000 rows are not below it. The lower end is 2.9 points for 41 lost rows
    // and 4.5 for 60.
    expect(losing(30).slice(0, 2)).toEqual([0, 0]);
    expect(losing(31).slice(0, 2)).toEqual([0.5, 0]);
    expect(losing(41).slice(0, 2)).toEqual([0.5, 0]);
    expect(losing(60).slice(0, 2)).toEqual([0.5, 0.5]);
  });

  it('do not include what a gate published by its value', () => {
    expect(
      losing(60, simulated('baselines: []\ngate: { kind: relative, margin: 0.03, on_inconclusive: publish }')),
    ).toEqual([null, null, null, null]);
  });

  it('do not include candidates that were held back, which the share of all jobs counts', () => {
    const evidence = simulated();
    const held = evidence.cells.map((cell) => (cell.rows === 256 ? { ...cell, first: null } : cell));
    expect(losing(60, { ...evidence, cells: held })).toEqual([1, 1, 1, 0.5]);
  });
});

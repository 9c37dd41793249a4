import { describe, expect, it } from 'vitest';
import { Random } from '../../../../core/statistics/random.ts';
import { ratioInterval, type TimePair } from '../../../experiments/report/comparisons/ratio-interval.ts';

const ready = (ms: number) => ({ ms, happened: true });
const givenUp = (ms: number) => ({ ms, happened: false });

/** Draws tenants of three pairs with a true median ratio of e. The baseline gives up after `budget` milliseconds. */
function simulate(seed: number, budget = Infinity): TimePair[][] {
  const random = Random.fromSeed(seed);
  return Array.from({ length: 24 }, () => {
    const own = 0.5 * random.normal();
    return Array.from({ length: 3 }, () => {
      const ms = 1000 * Math.exp(1 + own + 0.3 * random.normal());
      return { strategy: ready(1000), baseline: ms > budget ? givenUp(budget) : ready(ms) };
    });
  });
}

describe('ratioInterval', () => {
  it('holds the true median in 95 of 100 experiments', () => {
    let held = 0;
    for (let seed = 1; seed <= 120; seed++) {
      const { interval } = ratioInterval(simulate(seed), { seed, samples: 400 })!;
      if (interval[0].value <= Math.E && Math.E <= interval[1].value) held++;
    }
    // 120 experiments have a standard error of 2 points.
    expect(held / 120).toBeGreaterThan(0.89);
  });

  it('is a lower bound where the baseline gave up, and never above the truth for it', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const [whole, cut] = [
        ratioInterval(simulate(seed), { seed, samples: 400 })!,
        ratioInterval(simulate(seed, 2000), { seed, samples: 400 })!,
      ];
      expect(cut.median).toMatchObject({ value: 2, bound: true });
      expect(cut.median.value).toBeLessThanOrEqual(whole.median.value);
      expect(cut.interval[1].value).toBeLessThanOrEqual(whole.interval[1].value);
    }
  });

  it('counts a strategy that was not ready as 0 and says how many were', () => {
    const pairs = [
      { strategy: givenUp(9), baseline: ready(3) },
      { strategy: givenUp(9), baseline: givenUp(3) },
      { strategy: ready(1), baseline: ready(4) },
    ];
    expect(ratioInterval([pairs])).toMatchObject({
      median: { value: 0, bound: false },
      ready: { both: 1, strategy: 0, baseline: 1, neither: 1 },
    });
    expect(ratioInterval([])).toBeNull();
  });
});

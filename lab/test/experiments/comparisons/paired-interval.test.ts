import { describe, expect, it } from 'vitest';
import { Random } from '../../../../core/statistics/random.ts';
import { pairedInterval, type TaskDifferences } from '../../../experiments/report/comparisons/paired-interval.ts';
import { deviationsOf, expectedHalfWidth, powerOf } from '../../../experiments/report/comparisons/power.ts';

/** True mean difference of each simulated task, with the deviations of tenants, rows and single differences. */
interface Truth {
  readonly means: readonly number[];
  readonly tenants: number;
  readonly rows: number;
  readonly rest: number;
}

function simulate({ means, tenants, rows, rest }: Truth, [count, length]: readonly [number, number], seed: number) {
  const random = Random.fromSeed(seed);
  return means.map((center): TaskDifferences => {
    const ofRows = Array.from({ length }, () => rows * random.normal());
    return Array.from({ length: count }, () => {
      const own = center + tenants * random.normal();
      // Differences of rows that are right or wrong are −1, 0 or 1.
      return ofRows.map((row) => Math.max(-1, Math.min(1, Math.round(own + row + rest * random.normal()))));
    });
  });
}

/** Limit of the mean of rounded differences, from a very large sample. */
function expected(truth: Truth): number {
  return pairedInterval(simulate(truth, [400, 2000], 99)).mean;
}

describe('pairedInterval', () => {
  it('is the hand-computed one: two tenants, two rows', () => {
    const { mean, parts, interval, degrees } = pairedInterval([
      [
        [1, 0],
        [0, -1],
      ],
    ]);
    // Means of tenants ½ and −½, of rows ½ and −½: variance ½ each, ¼ of the mean; no residuals.
    expect([mean, parts]).toEqual([0, { tenants: 0.25, rows: 0.25, rest: 0 }]);
    expect(degrees).toBeCloseTo(0.5 ** 2 / (0.25 ** 2 + 0.25 ** 2));
    expect(interval![1]).toBeCloseTo(-interval![0]);
  });

  it.each<[string, Truth, readonly [number, number]]>([
    ['tenants differ most', { means: [0.1, -0.05, 0, 0.2], tenants: 0.15, rows: 0.1, rest: 0.45 }, [3, 60]],
    ['rows differ most', { means: [0, 0.1, 0, 0.05], tenants: 0.02, rows: 0.5, rest: 0.3 }, [3, 60]],
    ['neither differs', { means: [0, 0, 0.1, 0], tenants: 0, rows: 0, rest: 0.5 }, [5, 40]],
  ])('holds the truth in 95 of 100 experiments: %s', (_, truth, size) => {
    const target = expected(truth);
    let held = 0;
    for (let seed = 1; seed <= 300; seed++) {
      const { interval } = pairedInterval(simulate(truth, size, seed));
      if (interval![0] <= target && target <= interval![1]) held++;
    }
    // 300 experiments have a standard error of 1.3 points. The sum of both clusters may cover the truth more often.
    expect(held / 300).toBeGreaterThan(0.925);
    expect(held / 300).toBeLessThan(0.995);
  });

  it('holds it where an interval over jobs or over rows alone would not', () => {
    const truth: Truth = { means: [0, 0, 0, 0], tenants: 0.15, rows: 0.1, rest: 0.45 };
    let [both, rowsAlone] = [0, 0];
    for (let seed = 1; seed <= 200; seed++) {
      const tasks = simulate(truth, [3, 60], seed);
      const { mean, interval } = pairedInterval(tasks);
      const all = tasks.flat(2);
      const error = Math.sqrt(all.reduce((sum, value) => sum + (value - mean) ** 2, 0)) / all.length;
      if (interval![0] <= 0 && 0 <= interval![1]) both++;
      if (Math.abs(mean) <= 1.96 * error) rowsAlone++;
    }
    expect(rowsAlone).toBeLessThan(160);
    expect(both).toBeGreaterThan(180);
  });

  it('has no interval for a single tenant, and none of any width where nothing differs', () => {
    expect(pairedInterval([[[1, 0, 0]]]).interval).toBeNull();
    expect(
      pairedInterval([
        [
          [0, 0],
          [0, 0],
        ],
      ]),
    ).toMatchObject({ mean: 0, interval: [0, 0] });
    expect(() => pairedInterval([[[1], [1, 0]]])).toThrow('1 and 2 rows');
  });
});

describe('power', () => {
  const design = { tasks: 4, tenants: 5, rows: 400 };
  const deviations = { tenants: 0.01, rows: 0.1, rest: 0.2 };

  it('is that of simulated experiments', () => {
    const truth = { means: [0, 0, 0, 0], tenants: 0.1, rows: 0.3, rest: 0.4 };
    const small = { tasks: 4, tenants: 4, rows: 60 };
    const simulated = Array.from({ length: 300 }, (_, i) => pairedInterval(simulate(truth, [4, 60], i + 1)));
    const parts = (of: 'tenants' | 'rows' | 'rest') => simulated.reduce((sum, one) => sum + one.parts[of], 0) / 300;
    const found = deviationsOf({ tenants: parts('tenants'), rows: parts('rows'), rest: parts('rest') }, small);
    const widths = simulated.reduce((sum, { interval }) => sum + (interval![1] - interval![0]) / 2, 0) / 300;
    expect(expectedHalfWidth(found, small) / widths).toBeGreaterThan(0.9);
    expect(expectedHalfWidth(found, small) / widths).toBeLessThan(1.15);
    const shown = simulated.filter(({ interval }) => interval![0] > -0.15).length / 300;
    expect(Math.abs(powerOf(found, small, 0.15) - shown)).toBeLessThan(0.12);
  });

  it('grows with tenants, rows and the margin', () => {
    const at = (more: Partial<typeof design>, margin = 0.01) => powerOf(deviations, { ...design, ...more }, margin);
    expect(at({ tenants: 8 })).toBeGreaterThan(at({}));
    expect(at({ rows: 1000 })).toBeGreaterThan(at({}));
    expect(at({}, 0.02)).toBeGreaterThan(at({}));
  });
});

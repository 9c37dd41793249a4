import { describe, expect, it } from 'vitest';
import { geometricMeanInterval } from '../../../core/statistics/geometric-mean.ts';
import { kaplanMeierQuantiles, survivalSteps } from '../../integration/reports/kaplan-meier.ts';
import { Random } from '../../../core/statistics/random.ts';

/**
 * Weeks of remission of acute myelogenous leukemia (Miller, Survival Analysis, 1981), from `aml` of R's survival
 * package.
 */
const MAINTAINED = { events: [9, 13, 18, 23, 31, 34, 48], censored: [13, 28, 45, 161] };
const NOT_MAINTAINED = { events: [5, 5, 8, 8, 12, 23, 27, 30, 33, 43, 45], censored: [16] };

/** Weeks of remission under 6-mercaptopurine (Freireich et al., Blood 21, 1963, 699–716). */
const TREATED = {
  events: [6, 6, 6, 7, 10, 13, 16, 22, 23],
  censored: [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35],
};

describe('the estimate of Kaplan and Meier', () => {
  it.each([
    [
      'aml, maintained',
      MAINTAINED,
      [
        [9, 0.9091],
        [13, 0.8182],
        [18, 0.7159],
        [23, 0.6136],
        [31, 0.4909],
        [34, 0.3682],
        [48, 0.1841],
      ],
    ],
    [
      '6-MP',
      TREATED,
      [
        [6, 0.8571],
        [7, 0.8067],
        [10, 0.7529],
        [13, 0.6902],
        [16, 0.6275],
        [22, 0.5378],
        [23, 0.4482],
      ],
    ],
  ])('has the published values: %s', (_name, times, expected) => {
    const steps = survivalSteps(times);
    expect(steps.map(({ time }) => time)).toEqual(expected.map(([time]) => time));
    for (const [i, [, survival]] of expected.entries()) expect(steps[i]!.survival).toBeCloseTo(survival!, 4);
  });

  it('has the published medians', () => {
    expect(kaplanMeierQuantiles(MAINTAINED, [0.5])).toEqual([31]);
    expect(kaplanMeierQuantiles(NOT_MAINTAINED, [0.5])).toEqual([23]);
    expect(kaplanMeierQuantiles(TREATED, [0.5])).toEqual([23]);
  });

  it('says null where so many have not happened', () => {
    expect(kaplanMeierQuantiles(TREATED, [0.5, 0.6])).toEqual([23, null]);
    expect(kaplanMeierQuantiles({ events: [], censored: [1, 2] }, [0.5])).toEqual([null]);
    expect(kaplanMeierQuantiles({ events: [], censored: [] }, [0.5])).toEqual([null]);
  });

  it('is a plain quantile where nothing is censored, and its median the usual one', () => {
    const random = Random.fromSeed(5);
    for (const size of [1, 2, 7, 10, 101, 250]) {
      const events = Float64Array.from({ length: size }, () => random.uniform());
      const sorted = Float64Array.from(events).sort();
      const [median, p90] = kaplanMeierQuantiles({ events, censored: [] }, [0.5, 0.9]);
      expect(median).toBeCloseTo((sorted[(size - 1) >> 1]! + sorted[size >> 1]!) / 2, 12);
      const place = Math.round(0.9 * size * 1e9) / 1e9;
      const upper = sorted[Math.min(size - 1, Math.floor(place))]!;
      const lower = sorted[Math.ceil(place) - 1]!;
      expect(p90).toBeCloseTo((lower + upper) / 2, 12);
    }
  });

  it('does not move where times are censored before the first event', () => {
    const events = [10, 20, 30];
    const before = { events, censored: [1, 2, 3, 4] };
    expect(survivalSteps(before)).toEqual(survivalSteps({ events, censored: [] }));
  });
});

describe('the interval of a geometric mean', () => {
  it('is that of Student for the logarithms', () => {
    // t of 0.975 with 9 degrees of freedom is 2.262157.
    const interval = geometricMeanInterval({ count: 10, mean: Math.log(7), deviation: 0.3 }, 0.95)!;
    const half = (2.262157 * 0.3) / Math.sqrt(10);
    expect(interval.low).toBeCloseTo(7 * Math.exp(-half), 3);
    expect(interval.high).toBeCloseTo(7 * Math.exp(half), 3);
  });

  it('is not given for fewer than five', () => {
    expect(geometricMeanInterval({ count: 4, mean: 1, deviation: 1 }, 0.95)).toBeNull();
    expect(geometricMeanInterval({ count: 5, mean: 1, deviation: 1 }, 0.95)).not.toBeNull();
  });
});

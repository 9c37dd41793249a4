import { describe, expect, it } from 'vitest';
import { pairedInterval } from '../../../experiments/report/comparisons/paired-interval.ts';
import { powerLines, powerSection } from '../../../experiments/report/tables/power.ts';
import {
  sweptSettings,
  sweptSizes,
  winnerSection,
  type SweptSetting,
} from '../../../experiments/report/tables/winner.ts';
import { summarize } from '../../../experiments/report/summary.ts';
import { simulateResults, type TrueStrategy, type World } from '../support/simulated-results.ts';

const SIZE = { seeds: 2, testRows: 400, tasks: ['product-reviews', 'home-commands'], rows: [64, 256] };

function sweep(strategies: Record<string, TrueStrategy>) {
  const world: World = { strategies, copy: { loss: 0.3, gain: 0 } };
  return simulateResults(world, { ...SIZE, settings: 'baselines: []\nreport: { winner: true }' }, 1).evidence;
}

/** Gives all jobs of a setting the known test value and time. */
function withValues(
  evidence: ReturnType<typeof sweep>,
  known: Record<string, readonly [number, number]>,
): SweptSetting[] {
  const cells = evidence.cells.map((cell) => {
    const [value, seconds] = known[cell.strategy]!;
    return { ...cell, final: cell.final && { ...cell.final, value }, readyMs: 1000 * seconds };
  });
  return sweptSettings({ ...evidence, cells });
}

const winnerOf = (settings: readonly SweptSetting[]) =>
  settings.filter(({ isWinner }) => isWinner).map(({ strategy }) => strategy);

const even = { loss: 0.05, gain: 0.3, seconds: 10 };
const evidence = sweep({ low: even, middle: even, high: even });

describe('the winner of a sweep', () => {
  it.each([
    ['the largest mean', { low: [0.8, 10], middle: [0.9, 20], high: [0.85, 5] }, 'middle'],
    [
      'of those within 0.3 points, the one that was ready soonest',
      { low: [0.897, 10], middle: [0.9, 20], high: [0.896, 5] },
      'low',
    ],
    ['of equally fast ones, the largest mean', { low: [0.899, 10], middle: [0.9, 10], high: [0.898, 10] }, 'middle'],
  ] as const)('is %s', (_, known, winner) => {
    expect(winnerOf(withValues(evidence, known))).toEqual([winner]);
  });

  it('is the one that is best in truth, with intervals of the others against it', () => {
    const settings = sweptSettings(sweep({ low: { ...even, loss: 0.3 }, best: even, high: { ...even, loss: 0.15 } }));
    expect(winnerOf(settings)).toEqual(['best']);
    const [low, best, high] = settings.map(({ againstWinner }) => againstWinner);
    expect(best).toBeNull();
    // They lose 0.25 and 0.1 more of the 80 % that the old version has right.
    expect(low!.mean).toBeCloseTo(-0.2, 1);
    expect(high!.interval![0]).toBeLessThan(-0.08);
    expect(high!.interval![1]).toBeGreaterThan(-0.08);
    const text = winnerSection([{ rows: null, settings }], 'x').join('\n');
    expect(text).toMatch(/\| all \| \*\*best\*\* \| 8 \| 8 \| \S+ \| \S+ \| 0 \| \*\*winner\*\* \|/);
    expect(text).toMatch(/\| all \| low \| 8 \| 8 \| \S+ \| \S+ \| 0 \| −\S+ \(−\S+ to −\S+\) \|/);
  });

  it('has the copy in place of jobs without a candidate, so that leaving out hard tasks does not win', () => {
    const settings = sweptSettings(
      sweep({ brave: even, shy: { loss: 0, gain: 0.4, seconds: 10, ready: 0, withoutCandidate: 0.7 } }),
    );
    expect(winnerOf(settings)).toEqual(['brave']);
    expect(settings[1]!.withoutCandidate).toBeGreaterThan(2);
    expect(settings[1]!.jobs).toBe(8);
  });

  it('is another one of each size', () => {
    const cells = evidence.cells.map((cell) => {
      const [best, value] = cell.rows === 64 ? ['low', 0.6] : ['high', 0.9];
      return { ...cell, final: cell.final && { ...cell.final, value: cell.strategy === best ? value : 0.5 } };
    });
    const sizes = sweptSizes({ ...evidence, cells });
    expect(sizes.map(({ rows, settings }) => [rows, ...winnerOf(settings)])).toEqual([
      [null, 'high'],
      [64, 'low'],
      [256, 'high'],
    ]);
  });
});

describe('the table of a sweep', () => {
  it('has the new base without an adapter in place of training from scratch that failed or has no candidate', () => {
    const worlds = [{ failed: 1 }, { ready: 0, withoutCandidate: 1 }].map((fate) =>
      sweep({ one: { ...even, ...fate } }),
    );
    for (const found of worlds) {
      const none = { value: 0.1, standardError: 0, right: '0'.repeat(SIZE.testRows) };
      const asStrategy = (strategy: 'scratch' | 'auto') => {
        const strategies = found.experiment.strategies.map((one) => ({
          ...one,
          options: { ...one.options, strategy },
        }));
        const [setting] = sweptSettings({
          ...found,
          none: () => none,
          experiment: { ...found.experiment, strategies },
        });
        return setting!.value;
      };
      expect(asStrategy('scratch')).toBeCloseTo(0.1);
      // The copy loses 0.3 of the 80 % that the old version has right.
      expect(asStrategy('auto')).toBeCloseTo(0.56, 1);
    }
  });

  it('is in the report that asks for it', () => {
    const { experiment, items, records } = simulateResults(
      { strategies: { one: even }, copy: even },
      { ...SIZE, settings: 'baselines: []\nreport: { winner: true }' },
      1,
    );
    expect(summarize(experiment, items, records).further).toMatchObject({
      sweep: [null, 64, 256].map((rows) => ({ rows, settings: [{ strategy: 'one', isWinner: true }] })),
      registered: null,
      power: null,
    });
  });
});

describe('the table of power', () => {
  const planned = { tasks: 3, rows: 1000, tenants: [4, 5] };
  const report = `report: { power: { tasks: 3, rows: 1000, tenants: [4, 5] } }`;

  it('has, for each comparison, the deviations that were measured and what follows from them', () => {
    const strategies = { auto: { loss: 0.1, gain: 0.1, seconds: 1 }, scratch: { loss: 0.1, gain: 0.1, seconds: 1 } };
    const size = { seeds: 20, testRows: 300, tasks: ['product-reviews', 'home-commands'], rows: [64] };
    const settings = `baselines: [scratch]\n${report}`;
    const { experiment, items, records } = simulateResults(
      { strategies, copy: strategies.auto },
      { ...size, settings },
      1,
    );
    const { power } = summarize(experiment, items, records).further;
    expect(power).toHaveLength(1);
    expect(power![0]).toMatchObject({ strategy: 'auto', other: 'scratch', degrees: 38 });
    // Two versions that lose a tenth of the rows and gain a tenth differ in each row by √(2 · 0.09).
    expect(power![0]!.deviations.rest).toBeCloseTo(Math.sqrt(0.18), 1);
    expect(power![0]!.deviations.tenants).toBeLessThan(0.02);
    const [four, five] = power![0]!.planned;
    expect(five!.halfWidth).toBeLessThan(four!.halfWidth);
    expect(five!.power).toBeGreaterThan(four!.power);
    expect(powerSection(power!, planned).at(-2)).toMatch(
      /^\| auto \| scratch \| \d\.\d \(38\) \| \S+ \| \S+ \| ±\d\.\d\d, \d+ % \| ±/,
    );
  });

  it('has no line for tasks of different size, a single tenant, or one number of rows', () => {
    const [flat, short] = [Array<number>(20).fill(0), Array<number>(10).fill(0)];
    const comparison = (tasks: Parameters<typeof pairedInterval>[0], rows: number | null = null) => {
      return {
        ...{ strategy: 'a', other: 'b', rows, pairs: 1, unpaired: 0, withoutCandidate: 0, time: null },
        quality: pairedInterval(tasks),
      };
    };
    const lines = (...given: Parameters<typeof comparison>) => powerLines([comparison(...given)], planned);
    expect(lines([[flat, flat]])).toHaveLength(1);
    expect(lines([[flat, flat]], 64)).toEqual([]);
    expect(lines([[flat]])).toEqual([]);
    expect(
      lines([
        [flat, flat],
        [short, short],
      ]),
    ).toEqual([]);
    expect(
      lines([
        [flat, flat],
        [flat, flat, flat],
      ]),
    ).toEqual([]);
  });
});

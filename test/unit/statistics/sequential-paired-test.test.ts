import { describe, expect, it } from 'vitest';
import { inferiorityPValue } from '../../../core/statistics/exact-paired-test.ts';
import { tangoStatistic } from '../../../core/statistics/paired-statistics.ts';
import { Random } from '../../../core/statistics/random.ts';
import {
  criticalValues,
  passes,
  passingProbabilities,
  type SequentialDesign,
} from '../../../core/statistics/sequential-paired-test.ts';

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Returns the probability of passing, with these shares of flips, from counts of all outcomes of all analyses. */
function enumerated({ analyses, margin }: SequentialDesign, values: readonly number[], loss: number, gain: number) {
  let going = new Map([['0 0', 1]]);
  let [rows, passed] = [0, 0];
  analyses.forEach((at, i) => {
    for (; rows < at; rows++) {
      const next = new Map<string, number>();
      const add = (losses: number, gains: number, p: number) =>
        next.set(`${losses} ${gains}`, (next.get(`${losses} ${gains}`) ?? 0) + p);
      for (const [key, p] of going) {
        const [losses, gains] = key.split(' ').map(Number) as [number, number];
        add(losses + 1, gains, p * loss);
        add(losses, gains + 1, p * gain);
        add(losses, gains, p * (1 - loss - gain));
      }
      going = next;
    }
    for (const [key, p] of going) {
      const [losses, gains] = key.split(' ').map(Number) as [number, number];
      if (!passes({ losses, gains, rows }, margin, values[i]!)) continue;
      passed += p;
      going.delete(key);
    }
  });
  return passed;
}

describe('the test of a sequence of analyses', () => {
  it('has the probabilities of all outcomes of all analyses', () => {
    const design = { analyses: [12, 20, 31], margin: 0.2, level: 0.1 };
    const values = criticalValues(design);
    for (const [loss, gain] of [
      [0.3, 0.1],
      [0.05, 0.05],
      [0.6, 0.4],
      [0.2, 0],
    ] as const) {
      const exact = enumerated(design, values, loss, gain);
      expect(sum(passingProbabilities(design, values, { loss, gain }))).toBeCloseTo(exact, 6);
    }
  });

  it.each<SequentialDesign>([
    { analyses: [200, 250], margin: 0.05, level: 0.04 },
    { analyses: [200, 250, 300], margin: 0.02, level: 0.0025 },
    { analyses: [200, 250, 300, 350, 400], margin: 0.03, level: 0.05 },
    { analyses: [200, 250, 300, 350, 400], margin: 0.1, level: 0.008 },
    { analyses: [40, 80, 120, 160, 200], margin: 0.01, level: 0.05 },
  ])('errs no more often than its level, whatever share of rows flips: $analyses, $margin, $level', (design) => {
    const values = criticalValues(design);
    const { margin, level } = design;
    const worst = Array.from({ length: 120 }, (_, i) => {
      const loss = margin * ((1 + margin) / 2 / margin) ** (i / 119);
      return sum(passingProbabilities(design, values, { loss, gain: loss - margin }));
    });
    expect(Math.max(...worst)).toBeLessThanOrEqual(level);
    expect(Math.max(...worst)).toBeGreaterThan(0.85 * level);
    const beyond = sum(passingProbabilities(design, values, { loss: 1.5 * margin + 0.1, gain: 0.1 }));
    expect(beyond).toBeLessThan(Math.max(...worst));
  });

  it('with one analysis passes what the exact test passes, but for a fiftieth of the level', () => {
    const design = { analyses: [300], margin: 0.03, level: 0.04 };
    const [value] = criticalValues(design);
    for (const [losses, gains] of [
      [0, 0],
      [2, 2],
      [4, 4],
      [9, 9],
      [12, 10],
      [30, 33],
    ] as const) {
      const flips = { losses, gains, rows: 300 };
      const p = inferiorityPValue({ ...flips, margin: 0.03 });
      if (p < 0.95 * design.level || p > design.level) expect(passes(flips, 0.03, value!)).toBe(p < design.level);
    }
  });

  it('certifies an equal version of 800 rows in more than 90 of 100 cases, after fewer than 460 rows', () => {
    const analyses = [...Array.from({ length: 12 }, (_, i) => 200 + 50 * i), 800];
    const design = { analyses, margin: 0.03, level: 0.04 };
    const passing = passingProbabilities(design, criticalValues(design), { loss: 0.03, gain: 0.03 });
    expect(sum(passing)).toBeGreaterThan(0.9);
    const early = passing.reduce((rows, p, i) => rows + p * analyses[i]!, 0);
    expect(early + (1 - sum(passing)) * 800).toBeLessThan(460);
  });

  it('has the probabilities that draws have', () => {
    const design = { analyses: [60, 90, 120], margin: 0.05, level: 0.1 };
    const values = criticalValues(design);
    const random = Random.fromSeed(7);
    const [loss, gain, draws] = [0.09, 0.04, 20_000];
    let passed = 0;
    for (let draw = 0; draw < draws; draw++) {
      let [losses, gains, rows] = [0, 0, 0];
      const isPassed = design.analyses.some((at, i) => {
        for (; rows < at; rows++) {
          const u = random.uniform();
          if (u < loss) losses++;
          else if (u < loss + gain) gains++;
        }
        return tangoStatistic({ losses, gains, rows }, -0.05) >= values[i]!;
      });
      if (isPassed) passed++;
    }
    const expected = sum(passingProbabilities(design, values, { loss, gain }));
    expect(Math.abs(passed / draws - expected)).toBeLessThan(4 * Math.sqrt((expected * (1 - expected)) / draws));
  });

  it('refuses a margin that no share can differ by', () => {
    for (const margin of [0, 1, -0.1]) {
      expect(() => criticalValues({ analyses: [10], margin, level: 0.05 })).toThrow(RangeError);
    }
  });
});

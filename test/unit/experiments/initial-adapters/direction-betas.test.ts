import { describe, expect, it } from 'vitest';
import { Random } from '../../../../core/statistics/random.ts';
import {
  byClearSign,
  byShrunkSign,
  bySign,
  DirectionEvidence,
} from '../../../../experiments/initial-adapters/direction-betas.ts';

const one = (values: readonly number[]) => new Map([['module', Float64Array.from(values)]]);

describe('the evidence of rows', () => {
  it('is the mean in units of its standard error', () => {
    const evidence = new DirectionEvidence();
    for (const slopes of [
      [1, -1, 0],
      [2, 1, 0],
      [3, -3, 0],
    ])
      evidence.add(one(slopes));
    // Mean 2 and deviation 1; mean −1 and deviation 2; nothing.
    const [first, second, third] = evidence.tValues.get('module')!;
    expect([first, second, third]).toEqual([
      expect.closeTo(2 * Math.sqrt(3), 10),
      expect.closeTo(-Math.sqrt(3) / 2, 10),
      0,
    ]);
  });

  it('needs two rows', () => {
    const evidence = new DirectionEvidence();
    evidence.add(one([1]));
    expect(() => evidence.tValues).toThrow('1 rows, expected at least two');
  });
});

describe('the betas', () => {
  it('undo by sign what raises the loss, and what nothing is known of', () => {
    expect(bySign(one([3, -0.1, 0, -4])).get('module')).toEqual(Float64Array.of(-1, 0, -1, 0));
  });

  it('undo all but what clearly helps', () => {
    expect(byClearSign(one([3, -0.1, -2, -2.1])).get('module')).toEqual(Float64Array.of(-1, -1, -1, 0));
  });

  it('follow the sum where the slopes are noise, and their own sign where they are not', () => {
    const random = Random.fromSeed(5);
    const noise = Array.from({ length: 400 }, () => random.normal());
    const harmful = byShrunkSign(one(noise.map((t) => 0.3 + 0.9 * t))).get('module')!;
    expect(harmful.every((beta) => beta === -1)).toBe(true);
    const helpful = byShrunkSign(one(noise.map((t) => -0.3 + 0.9 * t))).get('module')!;
    expect(helpful.every((beta) => beta === 0)).toBe(true);
    const mixed = noise.map((t, i) => t + (i % 2 === 0 ? 20 : -20));
    expect(byShrunkSign(one(mixed))).toEqual(bySign(one(mixed)));
  });

  it('shrink to what Efron and Morris expect', () => {
    // Mean 1 and variance 4, of which 3 are not noise: −0.3 becomes 1 − ¾ · 1.3 > 0, and −0.5 becomes 1 − ¾ · 1.5 < 0.
    const t = [-0.3, -0.5, 2.4 + Math.sqrt(2.07), 2.4 - Math.sqrt(2.07)];
    expect(t.reduce((sum, value) => sum + value, 0)).toBeCloseTo(4, 10);
    expect(t.reduce((sum, value) => sum + (value - 1) ** 2, 0)).toBeCloseTo(12, 10);
    expect(byShrunkSign(one(t)).get('module')).toEqual(Float64Array.of(-1, 0, -1, -1));
    expect(bySign(one(t)).get('module')).toEqual(Float64Array.of(0, 0, -1, -1));
  });
});

import { describe, expect, it } from 'vitest';
import { FIRST_LOOK, levelOf } from '../../../../core/method/gate/error-budget.ts';
import { isWorthLooking } from '../../../../core/method/gate/futility.ts';
import type { Gate, GateMeasurement } from '../../../../core/method/gate/readiness-gate.ts';
import { inferiorityPValue } from '../../../../core/statistics/exact-paired-test.ts';

const LOOK = FIRST_LOOK;
const GATE: Gate = { metric: 'accuracy', kind: 'relative', margin: 0.03 };

function measured(metric: 'accuracy' | 'rouge_l' | 'loss', values: readonly number[]): GateMeasurement {
  const value = values.reduce((sum, one) => sum + one, 0) / values.length;
  return {
    metric: { name: metric, value, rows: values.length, standardError: 0.01 },
    outcomes: { values, tokens: values.map(() => 1) },
  };
}

/** Reference with some wrong rows, and a candidate with as many other wrong rows. */
function flipped(rows: number, flips: number): [GateMeasurement, GateMeasurement] {
  const wrong = (from: number) => Array.from({ length: rows }, (_, i) => Number(i < from || i >= from + flips / 2));
  return [measured('accuracy', wrong(0)), measured('accuracy', wrong(flips / 2))];
}

const worth = (gate: Gate, [old, found]: readonly GateMeasurement[], leastPower: number): boolean =>
  isWorthLooking(gate, old!, found!, { look: LOOK, leastPower });

/** Probability that rows are certified if some of them flip, each as likely to be won as lost. */
function powerOf(rows: number, flips: number): number {
  let [power, share] = [0, 0.5 ** flips];
  for (let losses = 0; losses <= flips; losses++) {
    const p = inferiorityPValue({ gains: flips - losses, losses, rows, margin: 0.03 });
    if (p <= levelOf(LOOK, 0.95)) power += share;
    share *= (flips - losses) / (losses + 1);
  }
  return power;
}

describe('another look', () => {
  it.each([
    [236, 12],
    [236, 4],
    [200, 8],
    [400, 8],
    [400, 12],
    [400, 16],
    [400, 24],
    [800, 32],
  ])('on %i rows of which %i flip is worth it where the test certifies more often than not', (rows, flips) => {
    expect(worth(GATE, flipped(rows, flips), 0.5)).toBe(powerOf(rows, flips) > 0.5);
  });

  it('is asked for less where less is enough', () => {
    // Of 236 rows, twelve flips are certified with five losses at most: in 39 of 100 cases.
    expect(powerOf(236, 12)).toBeCloseTo(0.387, 3);
    const least = [0, 0.2, 0.5, 0.8].filter((power) => worth(GATE, flipped(236, 12), power));
    expect(least).toEqual([0, 0.2]);
  });

  it('has to be likely to certify every slice that is to be certified, and no other', () => {
    const [old, found] = flipped(800, 16);
    const slice = (certify: boolean): Gate => ({
      ...GATE,
      slices: [{ name: 'de', margin: 0.03, certify }],
      sliceRows: new Map([['de', Array.from({ length: 60 }, (_, i) => i)]]),
    });
    expect(worth(GATE, [old, found], 0.5)).toBe(true);
    expect(worth(slice(false), [old, found], 0.5)).toBe(true);
    expect(worth(slice(true), [old, found], 0.5)).toBe(false);
  });

  it('at scores or a loss goes by the spread of their differences', () => {
    const pair = (metric: 'rouge_l' | 'loss', rows: number, spread: number) => {
      const of = (sign: number) => Array.from({ length: rows }, (_, i) => 0.5 + (i % 2 === 0 ? sign : -sign) * spread);
      return [measured(metric, of(1)), measured(metric, of(-1))];
    };
    for (const metric of ['rouge_l', 'loss'] as const) {
      const gate: Gate = { ...GATE, metric };
      expect(worth(gate, pair(metric, 800, 0.02), 0.5)).toBe(true);
      expect(worth(gate, pair(metric, 200, 0.3), 0.5)).toBe(false);
    }
  });

  it('is always worth it where a number is asked for, which training may exceed by any amount', () => {
    const [, found] = flipped(60, 12);
    const gate: Gate = { metric: 'accuracy', kind: 'absolute', target: 0.9, confidence: 0.95 };
    expect(isWorthLooking(gate, null, found, { look: LOOK, leastPower: 0.5 })).toBe(true);
  });
});

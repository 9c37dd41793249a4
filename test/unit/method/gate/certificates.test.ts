import { describe, expect, it } from 'vitest';
import { FIRST_LOOK, FIRST_LOOKS, levelOf } from '../../../../core/method/gate/error-budget.ts';
import { absoluteEvidence, pairedEvidence } from '../../../../core/method/gate/evidence.ts';
import { certifiableMargin, rowsToCertify } from '../../../../core/method/gate/power.ts';
import type { GateMeasurement } from '../../../../core/method/gate/readiness-gate.ts';
import type { MetricName } from '../../../../core/options/metrics.ts';
import { inferiorityPValue } from '../../../../core/statistics/exact-paired-test.ts';
import { meanPValue } from '../../../../core/statistics/betting-test.ts';
import { Random } from '../../../../core/statistics/random.ts';

function measured(name: MetricName, values: readonly number[]): GateMeasurement {
  const value = values.reduce((sum, one) => sum + one, 0) / values.length;
  return {
    metric: { name, value, rows: values.length, standardError: 0.01 },
    outcomes: { values, tokens: values.map(() => 1) },
  };
}

/** Right rows, of which the first `losses` are lost. */
const rows = (right: number, wrong: number, losses = 0): number[] =>
  [right, wrong].flatMap((count, kind) => Array.from({ length: count }, (_, i) => (kind === 0 && i >= losses ? 1 : 0)));

describe('the budget of error', () => {
  it('is shared evenly by the first three looks, and by further and refining ones in a falling sequence', () => {
    const levels = [1, 2, 3, 4, 5, 6].map((number) => levelOf({ total: number, refining: 0 }, 0.95));
    const refining = [1, 2, 3].map((number) => levelOf({ total: 9, refining: number }, 0.95));
    const expected = [0.04 / 3, 0.04 / 3, 0.04 / 3, 0.0025, 0.005 / 6, 0.005 / 12];
    expected.forEach((level, i) => expect(levels[i]).toBeCloseTo(level, 12));
    [0.0025, 0.005 / 6, 0.005 / 12].forEach((level, i) => expect(refining[i]).toBeCloseTo(level, 12));
    expect(FIRST_LOOKS).toBe(3);
  });

  it('adds up to no more than 1 − confidence, however many looks there are', () => {
    const numbers = Array.from({ length: 100_000 }, (_, i) => i + 1);
    const looks = numbers.flatMap((number) => [
      { total: number, refining: 0 },
      { total: 1, refining: number },
    ]);
    const spent = looks.map((look) => levelOf(look, 0.9));
    const sum = spent.reduce((total, level) => total + level, 0);
    expect(sum).toBeLessThan(0.1);
    expect(sum).toBeGreaterThan(0.0999);
  });
});

describe('evidence on the gate rows', () => {
  const level = 0.05;

  it('of an unchanged version needs enough rows', () => {
    const claim = { needed: 0.88, level };
    const evidenceOf = (count: number) => {
      const version = measured('accuracy', rows(0.9 * count, 0.1 * count));
      return pairedEvidence(version, version, claim);
    };
    // 0.98ⁿ is 5 % at 149 rows.
    expect(evidenceOf(130)).toMatchObject({ certified: false });
    const enough = evidenceOf(170);
    expect(enough.certified).toBe(true);
    expect(enough.bound).toBeGreaterThan(0.88);
    expect(enough.bound).toBeLessThan(0.9);
  });

  it.each<[MetricName, readonly number[], readonly number[], { needed: number; certified: boolean }]>([
    ['accuracy', rows(360, 40), rows(360, 40, 4), { needed: 0.86, certified: true }],
    ['accuracy', rows(360, 40), rows(360, 40, 14), { needed: 0.86, certified: false }],
    ['rouge_l', rows(0, 400).map(() => 0.5), rows(0, 400).map(() => 0.49), { needed: 0.45, certified: true }],
    ['rouge_l', rows(0, 400).map(() => 0.5), rows(0, 400).map(() => 0.452), { needed: 0.45, certified: false }],
    ['loss', rows(200, 200), rows(200, 200).map((loss, i) => loss + (i % 3) / 100), { needed: 0.52, certified: true }],
    ['loss', rows(200, 200), rows(200, 200).map((loss, i) => loss + (i % 3) / 50), { needed: 0.52, certified: false }],
  ])('of %s, certified exactly where the bound reaches what is needed', (name, before, after, expected) => {
    const evidence = pairedEvidence(measured(name, before), measured(name, after), { needed: expected.needed, level });
    expect(evidence.certified).toBe(expected.certified);
    const distance = name === 'loss' ? expected.needed - evidence.bound : evidence.bound - expected.needed;
    expect(distance >= 0).toBe(expected.certified);
  });

  it.each<[MetricName, readonly number[], number]>([
    // 190 of 200 reach 92.5 % with 10 % of chance, and 91 % with 2 %.
    ['accuracy', rows(190, 10), 0.91],
    ['token_f1', rows(190, 10), 0.88],
    ['loss', rows(190, 10), 0.98],
  ])('of %s against a number alone', (name, values, needed) => {
    const evidence = absoluteEvidence(measured(name, values), { needed, level });
    const further = absoluteEvidence(measured(name, values), { needed: name === 'loss' ? 0.96 : 0.94, level });
    expect([evidence.certified, further.certified]).toEqual([true, false]);
    expect(evidence.bound).toBeCloseTo(further.bound, 8);
  });

  it('certifies nothing that is not a number', () => {
    const fine = measured('loss', [1, 2, 3]);
    const diverged = measured('loss', [1, NaN, 3]);
    expect(pairedEvidence(fine, diverged, { needed: 9, level }).certified).toBe(false);
    expect(absoluteEvidence(diverged, { needed: 9, level }).certified).toBe(false);
  });
});

describe('advice on rows', () => {
  const level = levelOf(FIRST_LOOK, 0.95);

  it('names rows that certify an equal version in four of five cases, and few more', () => {
    const random = Random.fromSeed(3);
    for (const [margin, flipped] of [
      [0.02, 0.03],
      [0.05, 0.03],
      [0.05, 0.1],
    ] as const) {
      const needed = rowsToCertify(margin, { metric: 'accuracy', deviation: Math.sqrt(flipped), level });
      const certified = new Map<string, boolean>();
      let count = 0;
      for (let draw = 0; draw < 1000; draw++) {
        let [gains, losses] = [0, 0];
        for (let i = 0; i < needed; i++) {
          const u = random.uniform();
          if (u < flipped / 2) gains++;
          else if (u < flipped) losses++;
        }
        const key = `${gains} ${losses}`;
        const flips = { gains, losses, rows: needed };
        if (!certified.has(key)) certified.set(key, inferiorityPValue({ ...flips, margin }) <= level);
        if (certified.get(key)) count++;
      }
      expect(count / 1000).toBeGreaterThan(0.78);
      expect(count / 1000).toBeLessThan(0.9);
    }
  });

  it('names rows for scores', () => {
    const random = Random.fromSeed(4);
    const [margin, deviation] = [0.03, 0.3];
    const needed = rowsToCertify(margin, { metric: 'rouge_l', deviation, level });
    let count = 0;
    for (let draw = 0; draw < 400; draw++) {
      const values = Float64Array.from({ length: needed }, () =>
        Math.min(1, Math.max(0, (1 + deviation * random.normal()) / 2)),
      );
      if (meanPValue({ values, mean: (1 - margin) / 2, level }) <= level) count++;
    }
    expect(count / 400).toBeGreaterThan(0.72);
    expect(count / 400).toBeLessThan(0.92);
  });

  it.each(['accuracy', 'rouge_l', 'loss'] as const)('names the margin of so many rows of %s', (metric) => {
    const comparison = { metric, deviation: 0.2, level };
    const margin = certifiableMargin(400, comparison);
    expect(rowsToCertify(margin * 1.02, comparison)).toBeLessThanOrEqual(415);
    expect(rowsToCertify(margin * 0.95, comparison)).toBeGreaterThan(400);
    expect(certifiableMargin(400, { ...comparison, difference: -0.05 })).toBeGreaterThan(margin + 0.03);
  });

  it('knows that no number of rows certifies a version at the margin', () => {
    expect(rowsToCertify(0.02, { metric: 'accuracy', deviation: 0.2, level, difference: -0.02 })).toBe(Infinity);
    expect(certifiableMargin(2, { metric: 'accuracy', deviation: 0.2, level })).toBeGreaterThan(0.8);
  });
});

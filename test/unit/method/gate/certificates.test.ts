import { describe, expect, it } from 'vitest';
import { FIRST_LOOK, levelOf, type Look } from '../../../../core/method/gate/error-budget.ts';
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
  const levels = (confidence: number, looks: readonly Partial<Look>[]) =>
    looks.map((look) => levelOf({ ...FIRST_LOOK, ...look }, confidence) / (1 - confidence));

  it('goes to the first look by half, and to each later one by half of what is left', () => {
    const first = levels(
      0.95,
      [1, 2, 3, 4].map((number) => ({ total: number, number })),
    );
    [0.48, 0.24, 0.12, 0.06].forEach((share, i) => expect(first[i]).toBeCloseTo(share, 12));
  });

  it('goes to the only look as a whole', () => {
    expect(levels(0.95, [{ isOnly: true }])).toEqual([1]);
  });

  it('is passed on by a certificate, until a look gives none', () => {
    const after = levels(0.95, [
      { total: 4, number: 2, missed: 0 },
      { total: 5, number: 2, missed: 1 },
      { total: 9, number: 2, missed: 2 },
    ]);
    [0.24, 0.005, 0.0025].forEach((share, i) => expect(after[i]).toBeCloseTo(share, 12));
  });

  it('adds up to no more than 1 − confidence, however many looks there are and whichever certifies first', () => {
    const numbers = Array.from({ length: 60 }, (_, i) => i + 1);
    const looks = numbers.flatMap((number) => [0, ...numbers].map((missed) => ({ number, missed })));
    const sum = levels(0.9, looks).reduce((total, level) => total + level, 0);
    expect(sum).toBeCloseTo(1, 9);
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
    ['token_f1', Random.fromSeed(1).shuffle(rows(190, 10)), 0.88],
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

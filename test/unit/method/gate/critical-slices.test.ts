import { describe, expect, it } from 'vitest';
import { certificateDocument } from '../../../../core/method/gate/certificate-document.ts';
import { FIRST_LOOK, levelOf } from '../../../../core/method/gate/error-budget.ts';
import { rowsWarning } from '../../../../core/method/gate/gate-rows.ts';
import { isDecidable, judge, type Gate, type GateMeasurement } from '../../../../core/method/gate/readiness-gate.ts';
import type { CriticalSlice } from '../../../../core/options/gates.ts';
import { inferiorityPValue } from '../../../../core/statistics/exact-paired-test.ts';

/** The first rows are slice `de`, the others slice `fr`. */
const gateOf = (de: number, fr: number, ...slices: CriticalSlice[]): Gate => ({
  metric: 'accuracy',
  kind: 'relative',
  margin: 0.1,
  slices,
  sliceRows: new Map([
    ['de', Array.from({ length: de }, (_, i) => i)],
    ['fr', Array.from({ length: fr }, (_, i) => de + i)],
  ]),
});

/** Right rows, except for the first ones. */
function measured(rows: number, wrong = 0): GateMeasurement {
  const values = Array.from({ length: rows }, (_, i) => Number(i >= wrong));
  return {
    metric: { name: 'accuracy', value: 1 - wrong / rows, rows, standardError: 0.01 },
    outcomes: { values, tokens: values.map(() => 1) },
  };
}

describe('critical slices', () => {
  // Of 200 rows, three of the twenty of `de` are lost: 98.5 % of all and 85 % of the slice.
  const [old, found] = [measured(200), measured(200, 3)];

  it('fail a candidate that is worse in one of them than its margin allows, however good it is on all rows', () => {
    const verdict = judge(gateOf(20, 180, { name: 'fr', margin: 0 }, { name: 'de', margin: 0.1 }), old, found);
    expect(verdict).toMatchObject({ verdict: 'failed', failed: ['slice'], certificate: { verdict: 'failed' } });
    expect(verdict.certificate!.slices).toMatchObject([
      { name: 'fr', verdict: 'inconclusive', rows: 180, value: 1, old: 1 },
      { name: 'de', verdict: 'failed', rows: 20, value: 0.85, old: 1, margin: 0.1, certify: false, rowsNeeded: null },
    ]);
    expect(judge(gateOf(20, 180), old, found)).toMatchObject({ verdict: 'passed', failed: [] });
    expect(judge(gateOf(20, 180), old, found).certificate).not.toHaveProperty('slices');
  });

  it('are compared on their rows only, unless they have to be certified', () => {
    const within = { name: 'de', margin: 0.2 };
    const compared = judge(gateOf(20, 180, within), old, found);
    expect(compared).toMatchObject({ verdict: 'passed', failed: [] });
    expect(compared.certificate!.slices).toMatchObject([{ verdict: 'inconclusive', rowsNeeded: expect.any(Number) }]);
    const asked = judge(gateOf(20, 180, { ...within, certify: true }), old, found);
    expect(asked).toMatchObject({ verdict: 'inconclusive', failed: ['slice_bound'] });
    // All rows together are certified, so they need no more.
    expect(asked.certificate).toMatchObject({ verdict: 'inconclusive', rowsNeeded: null });
    const needed = asked.certificate!.slices![0]!.rowsNeeded!;
    expect(rowsWarning({ ...found, ...asked })).toBe(
      'the 20 gate rows of slice de do not certify accuracy 0.8500 within a margin of 0.2 at 95 %: ' +
        `about ${needed} rows would`,
    );
  });

  it('are certified at the whole level of the look, however many there are', () => {
    // Seventy-seven rows without a loss are the fewest that certify five points. At half of the level, they would not.
    const level = levelOf(FIRST_LOOK, 0.95);
    const pValue = (rows: number) => inferiorityPValue({ gains: 0, losses: 0, rows, margin: 0.05 });
    expect(pValue(77)).toBeLessThan(level);
    expect(pValue(77)).toBeGreaterThan(level / 2);
    expect(pValue(76)).toBeGreaterThan(level);
    const both = ['de', 'fr'].map((name) => ({ name, margin: 0.05, certify: true }));
    const verdictOf = (de: number) => judge(gateOf(de, 77, ...both), measured(de + 77), measured(de + 77));
    expect(verdictOf(77).certificate).toMatchObject({ slices: [{ verdict: 'passed' }, { verdict: 'passed' }] });
    expect(verdictOf(77).verdict).toBe('passed');
    expect(verdictOf(76)).toMatchObject({ verdict: 'inconclusive', failed: ['slice_bound'] });
  });

  it('keep the level: a slice that is worse by its margin passes no more often, though another is perfect', () => {
    const [rows, margin] = [120, 0.05];
    const gate = gateOf(rows, 200, ...['de', 'fr'].map((name) => ({ name, margin, certify: true })));
    let probability = 0;
    let losses = (1 - margin) ** rows;
    for (let lost = 0; lost <= rows; lost++) {
      if (judge(gate, measured(rows + 200), measured(rows + 200, lost)).verdict === 'passed') probability += losses;
      losses *= ((rows - lost) / (lost + 1)) * (margin / (1 - margin));
    }
    expect(probability).toBeGreaterThan(0);
    expect(probability).toBeLessThanOrEqual(levelOf(FIRST_LOOK, 0.95));
  });

  it('make a gate undecidable only where they have to be certified', () => {
    const decidable = (certify: boolean, de: number) =>
      isDecidable(gateOf(de, 100, { name: 'de', margin: 0.05, certify }), measured(de + 100), FIRST_LOOK);
    expect([decidable(true, 76), decidable(true, 77), decidable(false, 76)]).toEqual([false, true, true]);
  });

  it('weigh rows of a loss by their tokens', () => {
    const [before, after] = [
      [1, 3, 9],
      [2, 3, 9],
    ].map((values): GateMeasurement => ({
      metric: { name: 'loss', value: values.reduce((sum, one) => sum + one, 0) / 5, rows: 3, standardError: 0.1 },
      outcomes: { values, tokens: [1, 3, 1] },
    })) as [GateMeasurement, GateMeasurement];
    const gate = (margin: number): Gate => ({
      ...{ metric: 'loss', kind: 'non_inferiority', margin: 1, slices: [{ name: 'de', margin }] },
      sliceRows: new Map([['de', [0, 1]]]),
    });
    expect(judge(gate(0.2), before, after).certificate!.slices).toMatchObject([
      { verdict: 'failed', old: 1, value: 1.25 },
    ]);
    expect(judge(gate(0.25), before, after).failed).not.toContain('slice');
  });

  it('need gate rows and a finite margin', () => {
    const rejudge = (slice: CriticalSlice) => () => judge(gateOf(20, 180, slice), old, found);
    expect(rejudge({ name: 'it', margin: 0.1 })).toThrow('gate names the slice it, which no gate row is in');
    expect(rejudge({ name: 'de', margin: NaN })).toThrow('gate margin of slice de is NaN, expected a finite number');
  });

  it('stand in documents by the names that those have', () => {
    const { certificate } = judge(gateOf(20, 180, { name: 'de', margin: 0.1 }), old, found);
    expect(certificateDocument(certificate)).toEqual({
      ...{
        verdict: 'failed',
        confidence: 0.95,
        margin: 0.1,
        rows: 200,
        available_rows: 200,
        looks: 1,
        rows_needed: null,
      },
      ...{ analyses: 1, level: expect.closeTo(0.024, 12) },
      slices: [
        {
          ...{ name: 'de', margin: 0.1, certify: false, verdict: 'failed', rows: 20, value: 0.85, old: 1 },
          ...{ bound: expect.any(Number), rows_needed: null },
        },
      ],
    });
  });
});

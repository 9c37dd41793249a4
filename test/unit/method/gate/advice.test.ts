import { describe, expect, it } from 'vitest';
import { gateAdvice } from '../../../../core/method/gate/advice.ts';
import { analysesOf } from '../../../../core/method/gate/look-plan.ts';
import type { MetricName } from '../../../../core/options/metrics.ts';
import { criticalValues, passingProbabilities } from '../../../../core/statistics/sequential-paired-test.ts';

describe('advice on gate rows before anything runs', () => {
  const rowsOf = (metric: MetricName, promptsOnly = false) => ({ metric, promptsOnly });
  const relative = (margin: number) => ({ kind: 'relative', margin }) as const;

  it('names the margin that so many rows certify as a rule, and without a difference', () => {
    const advice = gateAdvice(400, rowsOf('accuracy'), relative(0.05))!;
    expect(advice).toMatchObject({ rows: 400, confidence: 0.95, margin: 0.05, decidable: 'yes' });
    // 1 − 0.024^(1/400) = 0.0093, and a little more for the exact test.
    expect(advice.least_margin).toBeGreaterThan(0.008);
    expect(advice.least_margin).toBeLessThan(0.0105);
    expect(advice.certifiable_margin).toBeGreaterThan(0.022);
    expect(advice.certifiable_margin).toBeLessThan(0.045);
    expect(advice.rows_needed).toBeLessThan(400);
  });

  it.each([225, 400, 800, 1200])('names a margin that a look of %i rows certifies in about 80 of 100 cases', (rows) => {
    const margin = gateAdvice(rows, rowsOf('accuracy'))!.certifiable_margin!;
    const design = { analyses: analysesOf(rows), margin, level: 0.024 };
    const probabilities = passingProbabilities(design, criticalValues(design), { gain: 0.02, loss: 0.02 });
    const power = probabilities.reduce((sum, probability) => sum + probability, 0);
    expect(power).toBeGreaterThan(0.78);
    expect(power).toBeLessThan(0.92);
  });

  it.each([
    [400, 0.02, 'unlikely'],
    [400, 0.005, 'no'],
    [1500, 0.03, 'yes'],
    [20, 0.03, 'no'],
  ] as const)('says of %i rows and a margin of %f whether the gate can be decided: %s', (rows, margin, decidable) => {
    const advice = gateAdvice(rows, rowsOf('exact_match'), relative(margin))!;
    expect(advice.decidable).toBe(decidable);
    expect(advice.rows_needed! > rows).toBe(decidable !== 'yes');
  });

  it.each([1500, 1600, 1_000_000])('certifies 1 − level^(1/n) where none of %i rows differs', (rows) => {
    const { least_margin: least } = gateAdvice(rows, rowsOf('accuracy'), relative(0.02))!;
    const bound = 1 - 0.024 ** (1 / rows);
    expect(least).toBeGreaterThanOrEqual(bound - 1e-4);
    expect(least).toBeLessThan(1.3 * bound + 2e-4);
  });

  it('asks more rows for more confidence, and for a smaller margin', () => {
    const of = (margin: number, confidence?: number) =>
      gateAdvice(400, rowsOf('rouge_l'), { ...relative(margin), ...(confidence && { confidence }) })!.rows_needed!;
    expect(of(0.03, 0.99)).toBeGreaterThan(of(0.03));
    expect(of(0.01)).toBeGreaterThan(of(0.03));
  });

  it('says nothing of a loss, of a target, of no rows, and of no margin only what is certified', () => {
    expect(gateAdvice(400, rowsOf('loss'), relative(0.1))).toBeNull();
    expect(gateAdvice(400, rowsOf('accuracy'), { kind: 'absolute', target: 0.9 })).toBeNull();
    expect(gateAdvice(0, rowsOf('accuracy'))).toBeNull();
    expect(gateAdvice(400, rowsOf('accuracy'))).toMatchObject({ margin: null, rows_needed: null, decidable: null });
    expect(gateAdvice(400, rowsOf('accuracy'), relative(0))).toMatchObject({ rows_needed: null, decidable: 'no' });
  });

  it.each([
    ['exact_match', 0.04],
    ['rouge_l', 0.02],
  ] as const)('knows that %s on prompts alone can only be lost', (metric, loss) => {
    const of = (margin: number, promptsOnly: boolean) =>
      gateAdvice(400, rowsOf(metric, promptsOnly), relative(margin))!;
    // No number of rows certifies a margin that is as small as the usual loss.
    expect(of(loss, true)).toMatchObject({ rows_needed: null, decidable: 'unlikely' });
    const [alone, answered] = [of(0.07, true), of(0.07, false)];
    expect(alone.certifiable_margin).toBeGreaterThan(answered.certifiable_margin! + loss / 2);
    expect(alone.rows_needed).toBeGreaterThan(answered.rows_needed!);
    expect(alone.least_margin).toBe(answered.least_margin);
  });

  it('says nothing of accuracy on prompts alone', () => {
    expect(gateAdvice(400, rowsOf('accuracy', true), relative(0.1))).toBeNull();
  });
});

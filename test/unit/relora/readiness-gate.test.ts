import { describe, expect, it } from 'vitest';
import { Random } from '../../../workers/models/random.ts';
import {
  isBetter,
  lossMetric,
  passes,
  proportionMetric,
  resolveTarget,
  rowsWarning,
  type Gate,
  type MetricName,
  type MetricValue,
} from '../../../workers/relora/readiness-gate.ts';

const metric = (name: MetricName, value: number, standardError = 0.01): MetricValue => ({ name, value, rows: 100, standardError });

describe('readiness gate', () => {
  it.each<[string, Gate, MetricValue | null, number]>([
    ['absolute accuracy', { metric: 'accuracy', kind: 'absolute', target: 0.8 }, null, 0.8],
    ['accuracy relative to the old version', { metric: 'accuracy', kind: 'relative', margin: 0.005 }, metric('accuracy', 0.9), 0.895],
    ['loss relative to the old version', { metric: 'loss', kind: 'relative', margin: 0.05 }, metric('loss', 1.2), 1.25],
  ])('%s', (_, gate, old, expected) => {
    const target = resolveTarget(gate, old);
    expect(target.value).toBeCloseTo(expected, 12);
    const better = gate.metric === 'loss' ? -0.01 : 0.01;
    expect(passes(target, metric(gate.metric, expected))).toBe(true);
    expect(passes(target, metric(gate.metric, expected + better))).toBe(true);
    expect(passes(target, metric(gate.metric, expected - better))).toBe(false);
    expect(isBetter(metric(gate.metric, expected + better), metric(gate.metric, expected))).toBe(true);
    expect(isBetter(metric(gate.metric, expected), metric(gate.metric, expected))).toBe(false);
  });

  it('takes a metric of diverged training for the worst', () => {
    expect(passes({ metric: 'loss', value: 1 }, metric('loss', NaN))).toBe(false);
    expect(isBetter(metric('loss', 9), metric('loss', NaN))).toBe(true);
    expect(isBetter(metric('loss', NaN), metric('loss', 9))).toBe(false);
    expect(isBetter(metric('loss', NaN), metric('loss', Infinity))).toBe(false);
  });

  it('refuses what cannot be compared', () => {
    const relative: Gate = { metric: 'accuracy', kind: 'relative', margin: 0.01 };
    expect(() => resolveTarget(relative, null)).toThrow("needs the old version's metric");
    expect(() => resolveTarget(relative, metric('loss', 1))).toThrow('metric is loss, expected accuracy');
    expect(() => passes({ metric: 'loss', value: 1 }, metric('accuracy', 1))).toThrow('metric is accuracy, expected loss');
    expect(() => resolveTarget({ metric: 'loss', kind: 'absolute', target: NaN }, null)).toThrow('NaN');
    expect(() => proportionMetric('accuracy', 0, 0)).toThrow('at least 1');
  });

  it('gives standard errors that repeated draws confirm', () => {
    const random = Random.fromSeed(1);
    const spread = (values: number[]) => {
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
    };
    const accuracies = Array.from({ length: 2000 }, () => {
      const correct = Array.from({ length: 60 }, () => random.uniform() < 0.8).filter(Boolean).length;
      return proportionMetric('accuracy', correct, 60).value;
    });
    expect(proportionMetric('accuracy', 48, 60).standardError).toBeCloseTo(spread(accuracies), 2);
    const losses = Array.from({ length: 2000 }, () => {
      const tokens = Array.from({ length: 60 }, () => 1 + random.integer(8));
      return lossMetric(tokens.map((count) => count * 2 + Math.sqrt(count) * random.normal()), tokens);
    });
    const typical = losses.reduce((sum, { standardError }) => sum + standardError, 0) / losses.length;
    expect(typical / spread(losses.map(({ value }) => value))).toBeCloseTo(1, 1);
  });

  it('weighs a loss by completion tokens', () => {
    expect(lossMetric([3, 1], [1, 3]).value).toBe(1);
  });

  it('warns where the rows cannot resolve the margin, and says how many would', () => {
    const gate: Gate = { metric: 'accuracy', kind: 'relative', margin: 0.005 };
    const warning = rowsWarning(gate, proportionMetric('accuracy', 80, 100));
    expect(warning).toContain('100 gate rows give accuracy a standard error of 0.040');
    expect(warning).toContain('about 6400 rows would tell');
    expect(rowsWarning(gate, proportionMetric('accuracy', 8000, 10_000))).toBeNull();
    expect(rowsWarning({ ...gate, margin: 0 }, metric('accuracy', 0.8))).toContain('margin of 0');
    expect(rowsWarning({ metric: 'accuracy', kind: 'absolute', target: 0.8 }, metric('accuracy', 0.8, 0.2))).toBeNull();
  });
});

import { describe, expect, it } from 'vitest';
import { Random } from '../../../../core/statistics/random.ts';
import { rowsWarning } from '../../../../core/method/gate/gate-rows.ts';
import {
  isBetter,
  isBetterBeyondNoise,
  judge,
  needsOldVersion,
  resolveTarget,
  type Gate,
  type GateMeasurement,
  type MetricValue,
} from '../../../../core/method/gate/readiness-gate.ts';
import type { MetricName } from '../../../../core/options/metrics.ts';

const metric = (name: MetricName, value: number): MetricValue => ({ name, value, rows: 100, standardError: 0.01 });

/** Rows of which the first so many are right but for the flips: the first `losses` wrong, the next `gains` after them right. */
function rows(total: number, right: number, flips: { gains?: number; losses?: number } = {}): GateMeasurement {
  const { gains = 0, losses = 0 } = flips;
  const values = Array.from({ length: total }, (_, i) => Number(i < right ? i >= losses : i < right + gains));
  const value = values.reduce((sum, one) => sum + one, 0) / total;
  const standardError = Math.sqrt((value * (1 - value)) / total);
  return {
    metric: { name: 'accuracy', value, rows: total, standardError },
    outcomes: { values, tokens: values.map(() => 1) },
  };
}

function losses(values: readonly number[]): GateMeasurement {
  const value = values.reduce((sum, one) => sum + one, 0) / values.length;
  return {
    metric: { ...metric('loss', value), rows: values.length },
    outcomes: { values, tokens: values.map(() => 1) },
  };
}

/** A measurement of one value, for gates that compare no rows. */
const plain = (name: MetricName, value: number): GateMeasurement => ({
  metric: metric(name, value),
  outcomes: { values: [1], tokens: [1] },
});

describe('a gate by values', () => {
  it.each<[string, Gate, MetricValue | null, number]>([
    ['absolute accuracy', { metric: 'accuracy', kind: 'absolute', target: 0.8 }, null, 0.8],
    [
      'accuracy relative to the old version',
      { metric: 'accuracy', kind: 'relative', margin: 0.005 },
      metric('accuracy', 0.9),
      0.895,
    ],
    [
      'exact match relative to the old version',
      { metric: 'exact_match', kind: 'relative', margin: 0.1 },
      metric('exact_match', 0.5),
      0.4,
    ],
    ['loss relative to the old version', { metric: 'loss', kind: 'relative', margin: 0.05 }, metric('loss', 1.2), 1.25],
  ])('%s', (_, gate, oldMetric, needed) => {
    const old = oldMetric && { ...plain(gate.metric, 0), metric: oldMetric };
    expect(resolveTarget(gate, oldMetric).value).toBeCloseTo(needed, 12);
    const better = gate.metric === 'loss' ? -0.01 : 0.01;
    const verdict = (value: number) => judge(gate, old, plain(gate.metric, value));
    expect(verdict(needed)).toMatchObject({ passed: true, bound: null, failed: [] });
    expect(verdict(needed + better).passed).toBe(true);
    expect(verdict(needed - better)).toMatchObject({ passed: false, failed: ['value'] });
    expect(isBetter(metric(gate.metric, needed + better), metric(gate.metric, needed))).toBe(true);
    expect(isBetter(metric(gate.metric, needed), metric(gate.metric, needed))).toBe(false);
  });

  it('takes a metric of diverged training for the worst', () => {
    const gate: Gate = { metric: 'loss', kind: 'absolute', target: 1 };
    expect(judge(gate, null, plain('loss', NaN)).passed).toBe(false);
    expect(isBetter(metric('loss', 9), metric('loss', NaN))).toBe(true);
    expect(isBetter(metric('loss', NaN), metric('loss', 9))).toBe(false);
    expect(isBetter(metric('loss', NaN), metric('loss', Infinity))).toBe(false);
    expect(isBetterBeyondNoise(plain('loss', 9), plain('loss', NaN))).toBe(true);
  });

  it.each<[string, Gate, MetricValue | null, string]>([
    [
      'a relative gate without the old version',
      { metric: 'accuracy', kind: 'relative', margin: 0.01 },
      null,
      "a relative gate needs the old version's metric",
    ],
    [
      'non-inferiority without it',
      { metric: 'accuracy', kind: 'non_inferiority', margin: 0.01 },
      null,
      'a non-inferiority gate needs',
    ],
    [
      'a limit of flips without it',
      { metric: 'accuracy', kind: 'absolute', target: 0.8, max_negative_flips: 0.1 },
      null,
      'a limit of negative flips needs',
    ],
    [
      'another metric',
      { metric: 'accuracy', kind: 'relative', margin: 0.01 },
      metric('loss', 1),
      'metric is loss, expected accuracy',
    ],
    ['no number', { metric: 'loss', kind: 'absolute', target: NaN }, null, 'gate target is NaN'],
    [
      'a confidence of chance',
      { metric: 'loss', kind: 'non_inferiority', margin: 0, confidence: 0.5 },
      metric('loss', 1),
      'gate confidence is 0.5',
    ],
    [
      'flips of a loss',
      { metric: 'loss', kind: 'absolute', target: 1, max_negative_flips: 0.1 },
      metric('loss', 1),
      'expected none for the metric loss',
    ],
    [
      'flips of a score',
      { metric: 'rouge_l', kind: 'relative', margin: 0.1, max_negative_flips: 0.1 },
      metric('rouge_l', 0.4),
      'gate limit of negative flips is 0.1, expected none for the metric rouge_l, whose rows are neither right nor wrong',
    ],
    [
      'flips beyond all rows',
      { metric: 'accuracy', kind: 'absolute', target: 1, max_negative_flips: 1.5 },
      metric('accuracy', 1),
      'a share from 0 to 1',
    ],
  ])('refuses %s', (_, gate, old, message) => {
    expect(() => resolveTarget(gate, old)).toThrow(message);
  });

  it('needs the old version only where something is compared with it', () => {
    const absolute: Gate = { metric: 'accuracy', kind: 'absolute', target: 0.5 };
    expect(needsOldVersion(absolute)).toBe(false);
    expect(needsOldVersion({ ...absolute, max_negative_flips: 0.02 })).toBe(true);
    expect(needsOldVersion({ metric: 'accuracy', kind: 'non_inferiority', margin: 0.01 })).toBe(true);
  });
});

describe('non-inferiority', () => {
  const gate: Gate = { metric: 'accuracy', kind: 'non_inferiority', margin: 0.02 };
  const old = rows(400, 340);

  it('asks the bound of the difference, not the value', () => {
    // The same accuracy by 8 gains and 8 losses: the bound is a little beyond Wald's −1.645 · √16 / 400.
    const near = judge(gate, old, rows(400, 340, { gains: 8, losses: 8 }));
    expect(near.passed).toBe(true);
    expect(near.needed).toBeCloseTo(0.83, 12);
    expect(near.bound! - 0.85).toBeLessThan(-0.01645);
    expect(near.bound! - 0.85).toBeGreaterThan(-0.018);
    // The same accuracy again, but by 20 of each: −2.6 points.
    const far = judge(gate, old, rows(400, 340, { gains: 20, losses: 20 }));
    expect(far).toMatchObject({ passed: false, failed: ['bound'] });
    expect(judge({ ...gate, kind: 'relative' }, old, rows(400, 340, { gains: 20, losses: 20 })).passed).toBe(true);
    expect(judge({ ...gate, confidence: 0.8 }, old, rows(400, 340, { gains: 20, losses: 20 })).passed).toBe(true);
  });

  it('of a score asks the lower bound of the mean difference', () => {
    const random = Random.fromSeed(9);
    const before = Array.from({ length: 400 }, () => random.uniform());
    const after = before.map((score) => score + 0.1 * random.normal());
    const scores = (values: readonly number[]): GateMeasurement => {
      const { metric: of, outcomes } = losses(values);
      return { metric: { ...of, name: 'rouge_l' }, outcomes };
    };
    const verdict = (margin: number) =>
      judge({ metric: 'rouge_l', kind: 'non_inferiority', margin }, scores(before), scores(after));
    const { value } = scores(after).metric;
    // The standard error of the mean difference is 0.1 / √400.
    expect(value - verdict(0).bound!).toBeCloseTo(1.65 * 0.005, 2);
    expect(verdict(0.05)).toMatchObject({ passed: true, negativeFlips: null });
    expect(verdict(0)).toMatchObject({ passed: false, failed: ['bound'] });
    expect(isBetterBeyondNoise(scores(before.map((score) => score + 0.01)), scores(before))).toBe(true);
    expect(isBetterBeyondNoise(scores(after), scores(before))).toBe(false);
    const warning = rowsWarning({ metric: 'rouge_l', kind: 'relative', margin: 0.001 }, scores(before), scores(after));
    expect(warning).toMatch(/^400 gate rows resolve a difference in ROUGE-L of 0\.0049/);
    const same = rowsWarning({ metric: 'rouge_l', kind: 'relative', margin: 0.001 }, scores(before), scores(before));
    expect(same).toMatch(/^400 gate rows resolve a difference in ROUGE-L of 0\.0025/);
  });

  it('of a loss asks the upper bound of the mean difference', () => {
    const random = Random.fromSeed(9);
    const before = Array.from({ length: 200 }, () => 1 + random.uniform());
    const after = before.map((loss) => loss + 0.05 * random.normal());
    const verdict = (margin: number) =>
      judge({ metric: 'loss', kind: 'non_inferiority', margin }, losses(before), losses(after));
    // The standard error of the difference is 0.05 / √200 = 0.0035.
    expect(verdict(0.02).passed).toBe(true);
    expect(verdict(0.0005)).toMatchObject({ passed: false, failed: ['bound'] });
    expect(verdict(0.02).bound! - losses(after).metric.value).toBeCloseTo(1.65 * 0.0035, 2);
  });

  it('lets a version that is worse by the whole margin pass in about 5 of 100 rollouts', () => {
    const random = Random.fromSeed(21);
    let passed = 0;
    for (let draw = 0; draw < 2000; draw++) {
      const before: number[] = [];
      const after: number[] = [];
      for (let i = 0; i < 400; i++) {
        before.push(Number(random.uniform() < 0.85));
        // Of right rows 5 % turn wrong, of wrong ones 15 % right: 4.25 − 2.25 = 2 points lost.
        after.push(Number(before[i] === 1 ? random.uniform() >= 0.05 : random.uniform() < 0.15));
      }
      const of = (values: number[]): GateMeasurement => ({
        metric: { ...metric('accuracy', values.reduce((sum, one) => sum + one, 0) / 400), rows: 400 },
        outcomes: { values, tokens: values },
      });
      if (judge(gate, of(before), of(after)).passed) passed++;
    }
    expect(passed / 2000).toBeGreaterThan(0.03);
    expect(passed / 2000).toBeLessThan(0.065);
  });
});

describe('negative flips', () => {
  it('are limited beside the value', () => {
    const gate: Gate = { metric: 'accuracy', kind: 'relative', margin: 0, max_negative_flips: 0.02 };
    const old = rows(200, 160);
    expect(judge(gate, old, rows(200, 160, { gains: 4, losses: 4 }))).toMatchObject({
      passed: true,
      negativeFlips: 0.02,
    });
    expect(judge(gate, old, rows(200, 160, { gains: 9, losses: 5 }))).toMatchObject({
      passed: false,
      negativeFlips: 0.025,
      failed: ['negative_flips'],
    });
    expect(judge(gate, old, rows(200, 160, { losses: 5 })).failed).toEqual(['value', 'negative_flips']);
    expect(
      judge({ ...gate, max_negative_flips: undefined }, old, rows(200, 160, { gains: 9, losses: 5 })).negativeFlips,
    ).toBe(0.025);
  });
});

describe('better beyond noise', () => {
  it('is what McNemar’s test calls significant, and not merely more', () => {
    const published = rows(300, 240);
    expect(isBetterBeyondNoise(rows(300, 240, { gains: 6, losses: 3 }), published)).toBe(false);
    // (18 − 6) / √24 = 2.4 > 1.645.
    expect(isBetterBeyondNoise(rows(300, 240, { gains: 18, losses: 6 }), published)).toBe(true);
    expect(isBetterBeyondNoise(published, published)).toBe(false);
  });

  it('of losses is a mean difference that the rows agree on', () => {
    const before = Array.from({ length: 40 }, (_, i) => 1 + (i % 5) / 10);
    expect(isBetterBeyondNoise(losses(before.map((loss) => loss - 0.01)), losses(before))).toBe(true);
    expect(isBetterBeyondNoise(losses(before.map((loss, i) => loss + (i === 0 ? -0.4 : 0))), losses(before))).toBe(
      false,
    );
  });
});

describe('the warning of too few rows', () => {
  const relative: Gate = { metric: 'accuracy', kind: 'relative', margin: 0.005 };

  it('goes by the spread of the difference on the same rows', () => {
    // 12 discordant rows of 100: √0.12 / 10 = 0.035, and (√0.12 / 0.005)² = 4800.
    const warning = rowsWarning(relative, rows(100, 80), rows(100, 80, { gains: 6, losses: 6 }));
    expect(warning).toContain('100 gate rows resolve a difference in accuracy of 0.035');
    expect(warning).toContain('about 4800 rows would suffice');
    expect(rowsWarning(relative, rows(10_000, 8000), rows(10_000, 8000, { gains: 10, losses: 10 }))).toBeNull();
    expect(rowsWarning({ ...relative, margin: 0 }, rows(100, 80), rows(100, 80, { losses: 1 }))).toContain(
      'margin of 0',
    );
    expect(rowsWarning({ metric: 'accuracy', kind: 'absolute', target: 0.8 }, rows(10, 8), rows(10, 4))).toBeNull();
  });

  it('of non-inferiority names the rows that show an equal version with 80 % power', () => {
    const gate: Gate = { metric: 'accuracy', kind: 'non_inferiority', margin: 0.01 };
    // (1.645 + 0.842)² · 0.08 / 0.01² = 4946.
    expect(rowsWarning(gate, rows(200, 160), rows(200, 160, { gains: 8, losses: 8 }))).toContain(
      'about 4947 rows would suffice',
    );
    // That many do show it: 80 % of simulated rollouts pass.
    const random = Random.fromSeed(4);
    const draws = 300;
    let passed = 0;
    for (let draw = 0; draw < draws; draw++) {
      let flips = { gains: 0, losses: 0 };
      for (let i = 0; i < 4947; i++) {
        const u = random.uniform();
        if (u < 0.04) flips = { ...flips, gains: flips.gains + 1 };
        else if (u < 0.08) flips = { ...flips, losses: flips.losses + 1 };
      }
      if (judge(gate, rows(4947, 4000), rows(4947, 4000, flips)).passed) passed++;
    }
    expect(passed / draws).toBeGreaterThan(0.74);
    expect(passed / draws).toBeLessThan(0.86);
  });
});

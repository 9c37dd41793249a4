import { describe, expect, it } from 'vitest';
import { needsOldVersion } from '../../../../core/options/gates.ts';
import { Random } from '../../../../core/statistics/random.ts';
import { FIRST_LOOK, levelOf } from '../../../../core/method/gate/error-budget.ts';
import { rowsWarning } from '../../../../core/method/gate/gate-rows.ts';
import {
  isBetter,
  isBetterBeyondNoise,
  isDecidable,
  isPublishable,
  judge,
  resolveTarget,
  type Gate,
  type GateMeasurement,
  type MetricValue,
  type Verdict,
} from '../../../../core/method/gate/readiness-gate.ts';
import type { MetricName } from '../../../../core/options/metrics.ts';
import { inferiorityPValue } from '../../../../core/statistics/exact-paired-test.ts';
import { countFlips } from '../../../../core/statistics/paired-statistics.ts';

const metric = (name: MetricName, value: number): MetricValue => ({ name, value, rows: 100, standardError: 0.01 });

/**
 * Rows of which the first ones are right except for the flips: the first `losses` turn wrong, the next `gains` after
 * them turn right.
 */
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

/** Measurement of one value, for gates that compare no rows. */
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
    const of = (value: number) => judge(gate, old, plain(gate.metric, value));
    // A single row certifies nothing.
    const reached = gate.kind === 'absolute' ? 'passed' : 'inconclusive';
    expect(of(needed)).toMatchObject({ verdict: reached, failed: gate.kind === 'absolute' ? [] : ['bound'] });
    expect(of(needed + better).verdict).toBe(reached);
    expect(of(needed - better).verdict).toBe('failed');
    expect(of(needed - better).failed).toContain('value');
    expect(of(needed).certificate === null).toBe(gate.kind === 'absolute');
    expect(isBetter(metric(gate.metric, needed + better), metric(gate.metric, needed))).toBe(true);
    expect(isBetter(metric(gate.metric, needed), metric(gate.metric, needed))).toBe(false);
  });

  it('takes a metric of diverged training for the worst', () => {
    const gate: Gate = { metric: 'loss', kind: 'absolute', target: 1 };
    expect(judge(gate, null, plain('loss', NaN)).verdict).toBe('failed');
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
      'gate limit of negative flips is 0.1, expected none for the metric rouge_l, ' +
        'whose rows are neither right nor wrong',
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
    expect(needsOldVersion({ kind: 'non_inferiority', margin: 0.01 })).toBe(true);
  });
});

describe('a certificate', () => {
  const gate: Gate = { metric: 'accuracy', kind: 'relative', margin: 0.02 };
  const old = rows(400, 340);

  it('is given where the bound reaches what is needed, and not where the value does', () => {
    const same = judge(gate, old, old);
    expect(same).toMatchObject({ verdict: 'passed', failed: [] });
    expect(same.certificate).toEqual({
      verdict: 'passed',
      confidence: 0.95,
      margin: 0.02,
      rows: 400,
      availableRows: 400,
      analyses: 5,
      level: expect.closeTo(0.024, 12),
      looks: 1,
      rowsNeeded: null,
    });
    expect(same.needed).toBeCloseTo(0.83, 12);
    // The same accuracy again, but by 20 flips each way: the bound is near Wald's −2.2 · √40 / 400.
    const flipped = judge(gate, old, rows(400, 340, { gains: 20, losses: 20 }));
    expect(flipped).toMatchObject({ verdict: 'inconclusive', failed: ['bound'] });
    expect(flipped.bound! - 0.85).toBeLessThan(-0.033);
    expect(flipped.bound! - 0.85).toBeGreaterThan(-0.04);
    // (2.34 + 0.84)² · 0.1 / 0.02², at 0.4 of the level, since the look has been analysed before.
    expect(flipped.certificate!.rowsNeeded).toBe(2534);
    expect(
      judge({ ...gate, confidence: 0.55, margin: 0.03 }, old, rows(400, 340, { gains: 20, losses: 20 })),
    ).toMatchObject({
      verdict: 'passed',
    });
  });

  it('fails what is worse on the rows by more than the margin', () => {
    const worse = judge(gate, old, rows(400, 340, { losses: 12 }));
    expect(worse).toMatchObject({ verdict: 'failed', failed: ['value', 'bound'] });
    expect(worse.certificate).toMatchObject({ verdict: 'failed', rowsNeeded: null });
  });

  it('is the same of non-inferiority, and stricter at later looks', () => {
    const found = rows(400, 340, { gains: 3, losses: 3 });
    expect(judge({ ...gate, kind: 'non_inferiority' }, old, found)).toEqual(judge(gate, old, found));
    expect(judge(gate, old, found).verdict).toBe('passed');
    const fourth = judge(gate, old, found, { ...FIRST_LOOK, total: 4, number: 4 });
    expect(fourth).toMatchObject({ verdict: 'inconclusive', certificate: { looks: 4 } });
    expect(fourth.bound!).toBeLessThan(judge(gate, old, found).bound!);
  });

  it('of a target needs a confidence', () => {
    const absolute: Gate = { metric: 'accuracy', kind: 'absolute', target: 0.83 };
    expect(judge(absolute, null, old)).toMatchObject({ verdict: 'passed', bound: null, certificate: null });
    const confident = judge({ ...absolute, confidence: 0.95 }, null, old);
    expect(confident).toMatchObject({ verdict: 'inconclusive', certificate: { margin: null, confidence: 0.95 } });
    // (1.98 + 0.84)² · 0.85 · 0.15 / 0.02².
    expect(confident.certificate!.rowsNeeded).toBeCloseTo(2534, -2);
    expect(judge({ ...absolute, confidence: 0.95 }, null, rows(400, 360)).verdict).toBe('passed');
  });

  it('says whether the rows could certify a version that does not differ', () => {
    const few = rows(100, 85);
    expect(isDecidable(gate, few, FIRST_LOOK)).toBe(false);
    expect(isDecidable(gate, old, FIRST_LOOK)).toBe(true);
    const wide = { ...gate, margin: 0.03 };
    expect(isDecidable(wide, old, { ...FIRST_LOOK, number: 2 })).toBe(true);
    expect(isDecidable(wide, old, { ...FIRST_LOOK, number: 9 })).toBe(false);
    expect(isDecidable({ metric: 'accuracy', kind: 'absolute', target: 1, confidence: 0.9 }, null, FIRST_LOOK)).toBe(
      true,
    );
  });

  it('is asked for by the policy before anything is published', () => {
    const published = (verdict: Verdict, on_inconclusive?: 'hold' | 'publish') =>
      isPublishable({ ...gate, on_inconclusive }, { verdict });
    expect([published('passed'), published('inconclusive'), published('failed')]).toEqual([true, false, false]);
    expect([published('inconclusive', 'publish'), published('inconclusive', 'hold')]).toEqual([true, false]);
    expect(published('failed', 'publish')).toBe(false);
  });

  it('of a score bets on the differences', () => {
    const random = Random.fromSeed(9);
    const before = Array.from({ length: 400 }, () => random.uniform());
    const after = before.map((score) => Math.min(1, Math.max(0, score + 0.1 * random.normal())));
    const scores = (values: readonly number[]): GateMeasurement => {
      const { metric: of, outcomes } = losses(values);
      return { metric: { ...of, name: 'rouge_l' }, outcomes };
    };
    const of = (margin: number) =>
      judge({ metric: 'rouge_l', kind: 'relative', margin }, scores(before), scores(after));
    expect(of(0.05)).toMatchObject({ verdict: 'passed', negativeFlips: null });
    expect(of(0.005)).toMatchObject({ verdict: 'inconclusive', failed: ['bound'] });
    // About √(2 ln 75) standard errors of 0.1 / √400.
    expect(scores(after).metric.value - of(0.05).bound!).toBeGreaterThan(2.2 * 0.005);
    expect(scores(after).metric.value - of(0.05).bound!).toBeLessThan(4 * 0.005);
    expect(isBetterBeyondNoise(scores(before.map((score) => score + 0.01)), scores(before))).toBe(true);
    expect(isBetterBeyondNoise(scores(after), scores(before))).toBe(false);
  });

  it('of a loss asks the upper bound of the mean difference', () => {
    const random = Random.fromSeed(9);
    const before = Array.from({ length: 200 }, () => 1 + random.uniform());
    const after = before.map((loss) => loss + 0.05 * random.normal());
    const of = (margin: number) => judge({ metric: 'loss', kind: 'relative', margin }, losses(before), losses(after));
    // The standard error of the difference is 0.05 / √200 = 0.0035.
    expect(of(0.02).verdict).toBe('passed');
    expect(of(0.005)).toMatchObject({ verdict: 'inconclusive', failed: ['bound'] });
    expect(of(0.02).bound! - losses(after).metric.value).toBeCloseTo(2.2 * 0.0035, 2);
  });

  it('is given to a version that is worse by the whole margin in no more than 24 of 1,000 first looks', () => {
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
      const { gains, losses: lost } = countFlips(before, after);
      if (inferiorityPValue({ gains, losses: lost, rows: 400, margin: 0.02 }) <= levelOf(FIRST_LOOK, 0.95)) passed++;
    }
    expect(passed / 2000).toBeGreaterThan(0.01);
    expect(passed / 2000).toBeLessThan(0.024 + 0.0103);
  });
});

describe('negative flips', () => {
  it('are limited beside the value', () => {
    const gate: Gate = { metric: 'accuracy', kind: 'relative', margin: 0.2, max_negative_flips: 0.02 };
    const old = rows(200, 160);
    expect(judge(gate, old, rows(200, 160, { gains: 4, losses: 4 }))).toMatchObject({
      verdict: 'passed',
      negativeFlips: 0.02,
    });
    expect(judge(gate, old, rows(200, 160, { gains: 9, losses: 5 }))).toMatchObject({
      verdict: 'failed',
      negativeFlips: 0.025,
      failed: ['negative_flips'],
    });
    expect(judge({ ...gate, margin: 0 }, old, rows(200, 160, { losses: 5 })).failed).toEqual([
      'value',
      'negative_flips',
      'bound',
    ]);
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
  const gate: Gate = { metric: 'accuracy', kind: 'relative', margin: 0.01 };
  const warningOf = (rule: Gate, old: GateMeasurement, found: GateMeasurement) =>
    rowsWarning({ ...judge(rule, old, found), metric: found.metric });

  it('says of an inconclusive candidate how many rows would decide, by the spread of the difference', () => {
    // (2.34 + 0.84)² · 0.08 / 0.01² = 8110.
    expect(warningOf(gate, rows(200, 160), rows(200, 160, { gains: 8, losses: 8 }))).toMatch(
      /^200 gate rows do not certify accuracy 0\.8000 within a margin of 0\.01 at 95 %: about 81\d\d rows would$/,
    );
  });

  it('counts a difference on the rows that is against the candidate as a true one, and one for it as none', () => {
    const needed = (flips: { gains?: number; losses?: number }) =>
      judge({ ...gate, margin: 0.02 }, rows(200, 160), rows(200, 160, flips)).certificate!.rowsNeeded!;
    expect(needed({ gains: 8, losses: 10 })).toBeGreaterThan(2 * needed({ gains: 9, losses: 9 }));
    expect(needed({ gains: 10, losses: 8 })).toBe(needed({ gains: 9, losses: 9 }));
  });

  it('says nothing of what passed, failed or was compared with a number alone', () => {
    const old = rows(400, 320);
    expect(warningOf({ ...gate, margin: 0.05 }, old, old)).toBeNull();
    expect(warningOf(gate, old, rows(400, 320, { losses: 20 }))).toBeNull();
    expect(warningOf({ metric: 'accuracy', kind: 'absolute', target: 0.8 }, old, old)).toBeNull();
  });

  it('knows that no number of rows certifies what is worse by the whole margin, or a margin of 0', () => {
    const none = 'no number of rows would, unless they show another difference';
    expect(warningOf({ ...gate, margin: 0 }, rows(100, 80), rows(100, 80))).toContain(none);
    expect(warningOf(gate, rows(200, 160), rows(200, 160, { losses: 2 }))).toContain(none);
  });
});

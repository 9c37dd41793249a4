import { describe, expect, it } from 'vitest';
import { FIRST_LOOK, type Look } from '../../../../core/method/gate/error-budget.ts';
import { analysesOf, certifiesEarly } from '../../../../core/method/gate/look-plan.ts';
import { estimateOnAll, firstRows } from '../../../../core/method/gate/measured-rows.ts';
import { endOfLook, judge, type Gate, type GateMeasurement } from '../../../../core/method/gate/readiness-gate.ts';
import type { MetricName } from '../../../../core/options/metrics.ts';
import { Random } from '../../../../core/statistics/random.ts';

const GATE: Gate = { metric: 'accuracy', kind: 'relative', margin: 0.03 };

function measured(name: MetricName, values: readonly number[]): GateMeasurement {
  const value = values.reduce((sum, one) => sum + one, 0) / values.length;
  return {
    metric: { name, value, rows: values.length, standardError: 0.01 },
    outcomes: { values, tokens: values.map(() => 1) },
  };
}

/** Reference and candidate whose rows flip with the given probabilities, as shares of all rows. */
function drawn(rows: number, { loss, gain }: { loss: number; gain: number }, seed: number) {
  const random = Random.fromSeed(seed);
  const before = Array.from({ length: rows }, () => Number(random.uniform() < 0.8));
  const after = before.map((right) => (random.uniform() < (right ? loss / 0.8 : gain / 0.2) ? 1 - right : right));
  return { reference: measured('accuracy', before), whole: measured('accuracy', after) };
}

/** Looks at a candidate until the look ends. */
function look(
  gate: Gate,
  { reference, whole }: { reference: GateMeasurement; whole: GateMeasurement },
  place = FIRST_LOOK,
) {
  const { rows: available } = whole.metric;
  for (const rows of analysesOf(available).slice(0, -1)) {
    const { metric, outcomes } = firstRows(whole, rows);
    const found = estimateOnAll({ metric: { ...metric, available }, outcomes }, reference);
    const end = endOfLook(gate, reference, found, place);
    if (end !== null) return { end, rows, verdict: judge(gate, reference, found, place) };
  }
  return { end: null, rows: available, verdict: judge(gate, reference, whole, place) };
}

/** Shares of verdicts and the mean number of rows of many looks. */
function looks(
  gate: Gate,
  rows: number,
  shares: { loss: number; gain: number },
  { place = FIRST_LOOK, draws = 400 }: { place?: Look; draws?: number } = {},
) {
  const found = Array.from({ length: draws }, (_, seed) => look(gate, drawn(rows, shares, seed + 1), place));
  const share = (of: (one: (typeof found)[number]) => boolean) => found.filter(of).length / draws;
  return {
    passed: share(({ verdict }) => verdict.verdict === 'passed'),
    futile: share(({ end }) => end === 'futile'),
    rows: found.reduce((sum, one) => sum + one.rows, 0) / draws,
  };
}

describe('a look', () => {
  it('is analysed after 200 rows and every 50 from there, and after all', () => {
    expect(analysesOf(150)).toEqual([150]);
    expect(analysesOf(224)).toEqual([224]);
    expect(analysesOf(260)).toEqual([200, 260]);
    expect(analysesOf(800)).toEqual([200, 250, 300, 350, 400, 450, 500, 550, 600, 650, 700, 750, 800]);
    expect(analysesOf(5000).slice(-2)).toEqual([2000, 5000]);
  });

  it('certifies a version as good as the old one on about half of 800 rows', () => {
    const equal = { loss: 0.03, gain: 0.03 };
    const first = looks(GATE, 800, equal);
    expect(first.passed).toBeGreaterThan(0.82);
    expect(first.rows).toBeLessThan(500);
    const only = looks(GATE, 800, equal, { place: { ...FIRST_LOOK, isOnly: true } });
    expect(only.passed).toBeGreaterThan(0.88);
    expect(only.rows).toBeLessThan(450);
  });

  it('ends soon if the version is worse by ten points', () => {
    const { passed, futile, rows } = looks(GATE, 800, { loss: 0.12, gain: 0.02 });
    expect([passed, futile]).toEqual([0, 1]);
    expect(rows).toBeLessThan(260);
  });

  it('certifies a version that is worse by the margin no more often than its level', () => {
    const { passed } = looks(GATE, 800, { loss: 0.05, gain: 0.02 });
    expect(passed).toBeGreaterThan(0);
    expect(passed).toBeLessThan(0.024 + 3 * Math.sqrt((0.024 * 0.976) / 400));
  });

  it('of more rows than are analysed in sequence ends with the exact test of all', () => {
    const certain = look(GATE, drawn(2400, { loss: 0.02, gain: 0.02 }, 1));
    expect(certain).toMatchObject({ end: 'certified', verdict: { verdict: 'passed' } });
    const close = look({ ...GATE, margin: 0.005 }, drawn(4000, { loss: 0.02, gain: 0.02 }, 3));
    expect(close).toMatchObject({ rows: 4000, verdict: { certificate: { analyses: 38, rows: 4000 } } });
  });

  it('names its rows, analyses and level in the certificate, and has the bound of its analysis', () => {
    const { rows, verdict } = look(GATE, drawn(800, { loss: 0.02, gain: 0.02 }, 1));
    expect(verdict).toMatchObject({ verdict: 'passed', certificate: { rows, availableRows: 800, looks: 1 } });
    expect(verdict.certificate!.level).toBeCloseTo(0.024, 12);
    expect(verdict.certificate!.analyses).toBe((rows - 200) / 50 + 1);
    expect(verdict.bound!).toBeGreaterThanOrEqual(verdict.needed);
    expect(verdict.needed).toBeCloseTo(drawn(800, { loss: 0.02, gain: 0.02 }, 1).reference.metric.value - 0.03, 12);
  });

  it('estimates the value on all rows by the difference on the measured ones', () => {
    const { reference, whole } = drawn(800, { loss: 0.05, gain: 0.01 }, 4);
    const { metric, outcomes } = firstRows(whole, 300);
    const found = estimateOnAll({ metric: { ...metric, available: 800 }, outcomes }, reference);
    const difference = metric.value - firstRows(reference, 300).metric.value;
    expect(found.metric.value).toBeCloseTo(reference.metric.value + difference, 12);
    expect(estimateOnAll(whole, reference)).toBe(whole);
    const errors = Array.from({ length: 200 }, (_, seed) => {
      const pair = drawn(800, { loss: 0.05, gain: 0.01 }, seed + 1);
      const first = firstRows(pair.whole, 300);
      const estimated = estimateOnAll({ ...first, metric: { ...first.metric, available: 800 } }, pair.reference);
      const { value } = pair.whole.metric;
      return [(estimated.metric.value - value) ** 2, (first.metric.value - value) ** 2] as const;
    });
    const sum = (of: 0 | 1) => errors.reduce((total, error) => total + error[of], 0);
    expect(sum(0)).toBeLessThan(sum(1) / 2);
  });

  it('at scores ends where the bets have won enough', () => {
    const random = Random.fromSeed(2);
    const before = Array.from({ length: 800 }, () => random.uniform());
    const after = before.map((score) => Math.min(1, Math.max(0, score + 0.1 * random.normal())));
    const pair = { reference: measured('rouge_l', before), whole: measured('rouge_l', after) };
    const found = look({ ...GATE, metric: 'rouge_l' }, pair);
    expect(found).toMatchObject({ end: 'certified', verdict: { verdict: 'passed', failed: [] } });
    expect(found.rows).toBeLessThan(500);
  });

  it.each<[string, Gate]>([
    ['a limit of negative flips', { ...GATE, max_negative_flips: 0.05 }],
    ['critical slices', { ...GATE, slices: [{ name: 'de', margin: 0.1 }], sliceRows: new Map([['de', [1, 700]]]) }],
    ['a loss', { ...GATE, metric: 'loss' }],
    ['a target', { metric: 'accuracy', kind: 'absolute', target: 0.5, confidence: 0.9 }],
  ])('of a gate with %s certifies on all rows alone', (_, gate) => {
    expect(certifiesEarly(gate)).toBe(false);
    if (gate.metric === 'loss') return;
    const found = look(gate, drawn(800, { loss: 0, gain: 0 }, 1));
    expect(found).toMatchObject({ end: null, rows: 800, verdict: { verdict: 'passed' } });
  });

  it('certifies nothing for which a gate with slices needs more rows, though the bets had won enough', () => {
    // Most of the first rows gain, and some lose.
    const after = Array.from({ length: 800 }, (_, row) => (row < 150 ? 1 : row < 200 ? 0 : 0.5));
    const reference = measured('rouge_l', new Array<number>(800).fill(0.5));
    const { metric, outcomes } = firstRows(measured('rouge_l', after), 200);
    const found = estimateOnAll({ metric: { ...metric, available: 800 }, outcomes }, reference);
    const gate: Gate = { ...GATE, metric: 'rouge_l' };
    const sliced: Gate = { ...gate, slices: [{ name: 'de', margin: 0.1 }], sliceRows: new Map([['de', [1, 700]]]) };
    expect(judge(gate, reference, found).verdict).toBe('passed');
    expect(judge(sliced, reference, found)).toMatchObject({ verdict: 'inconclusive', failed: ['bound'] });
  });

  it('of a gate that publishes inconclusive candidates ends early only if the value is hopeless', () => {
    const gate: Gate = { ...GATE, margin: 0.01, on_inconclusive: 'publish' };
    expect(looks(gate, 400, { loss: 0.05, gain: 0.05 }, { draws: 50 }).rows).toBeGreaterThan(370);
    expect(looks(GATE, 400, { loss: 0.05, gain: 0.05 }, { draws: 50 }).rows).toBeLessThan(400);
    expect(looks(gate, 400, { loss: 0.2, gain: 0 }, { draws: 50 })).toMatchObject({ futile: 1, rows: 200 });
  });

  it('of a candidate whose metric is not a number ends at once', () => {
    const { reference, whole } = drawn(800, { loss: 0, gain: 0 }, 1);
    const diverged = {
      ...whole,
      outcomes: { ...whole.outcomes, values: Array.from(whole.outcomes.values, () => NaN) },
    };
    expect(look(GATE, { reference, whole: diverged })).toMatchObject({ end: 'futile', rows: 200 });
  });
});

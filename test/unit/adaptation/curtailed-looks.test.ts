import { describe, expect, it } from 'vitest';
import { summarizeMetric } from '../../../core/data/evaluation/measure.ts';
import { lookInParts } from '../../../core/adaptation/measurements/look-in-parts.ts';
import { lookOrder } from '../../../core/method/gate/look-order.ts';
import {
  isRefuted,
  judge,
  measuredRows,
  type Gate,
  type GateMeasurement,
} from '../../../core/method/gate/readiness-gate.ts';
import { METRICS, type MetricName } from '../../../core/options/metrics.ts';
import { Random } from '../../../core/statistics/random.ts';

/** A reference and a candidate on the same rows. */
interface Simulated {
  readonly reference: GateMeasurement;
  readonly candidate: GateMeasurement;
}

function measured(name: MetricName, values: Float64Array, tokens: readonly number[]): GateMeasurement {
  return {
    metric: { name, ...summarizeMetric(name, values, tokens), rows: values.length },
    outcomes: { values, tokens },
  };
}

/**
 * @param level mean outcome of the reference on a row, as a share or a score
 * @param harm share of rows on which the candidate performs as if it had learned nothing
 */
function simulate(metric: MetricName, rows: number, shape: { level: number; harm: number }, seed: number): Simulated {
  const random = Random.fromSeed(seed);
  const judged = metric === 'accuracy' || metric === 'exact_match';
  const tokens = Array.from({ length: rows }, () => 1 + random.integer(9));
  const draw = (level: number, row: number): number => {
    if (judged) return Number(random.uniform() < level);
    if (metric === 'loss') return -Math.log(Math.max(1e-3, random.uniform() * level)) * tokens[row]!;
    return random.uniform() < level / 2 ? 1 : random.uniform() * level;
  };
  const before = Float64Array.from({ length: rows }, (_, row) => draw(shape.level, row));
  const after = before.map((value, row) => (random.uniform() < shape.harm ? draw(shape.level / 3, row) : value));
  return { reference: measured(metric, before, tokens), candidate: measured(metric, after, tokens) };
}

/** Looks at the candidate as a job does, and counts the measurements of rows. */
async function look(gate: Gate, { reference, candidate }: Simulated, withReference: boolean) {
  const from = withReference ? reference : null;
  const { values } = candidate.outcomes;
  const asked: number[] = [];
  const found = await lookInParts({
    metric: gate.metric,
    tokens: Array.from(candidate.outcomes.tokens),
    parts: lookOrder(gate.metric, values.length, from),
    measure: async (rows) => {
      asked.push(...rows);
      return rows.map((row) => values[row]!);
    },
    isOver: (bestCase) => isRefuted(gate, from, bestCase),
  });
  return { found, asked, from };
}

function gatesOf(metric: MetricName, { reference }: Simulated): Gate[] {
  const { value } = reference.metric;
  const sign = metric === 'loss' ? 1 : -1;
  const margins = [0, 0.02, 0.1];
  const relative = margins.map((margin): Gate => ({ metric, kind: 'relative', margin }));
  const absolute = margins.map((margin): Gate => ({ metric, kind: 'absolute', target: value + sign * margin }));
  const certain: Gate = { metric, kind: 'absolute', target: value, confidence: 0.9 };
  if (metric !== 'accuracy' && metric !== 'exact_match') return [...relative, ...absolute, certain];
  const flips = [0, 0.01, 0.05].map((max_negative_flips): Gate => ({
    metric,
    kind: 'relative',
    margin: 0.5,
    max_negative_flips,
  }));
  return [...relative, ...absolute, certain, ...flips];
}

describe.each(METRICS)('a curtailed look at %s', (metric) => {
  it('has the verdict of the whole one for every gate, and ends early only where that is failed', async () => {
    const verdicts = new Set<string>();
    let curtailed = 0;
    let seed = 0;
    for (const rows of [1, 40, 136]) {
      for (const level of [0.3, 0.9, 1]) {
        for (const harm of [0, 0.03, 0.15, 0.5, 1]) {
          const simulated = simulate(metric, rows, { level, harm }, ++seed);
          for (const gate of gatesOf(metric, simulated)) {
            const { found, asked, from } = await look(gate, simulated, gate.kind !== 'absolute' || rows > 40);
            const [verdict, whole] = [judge(gate, from, found), judge(gate, from, simulated.candidate)];
            expect(verdict.verdict).toBe(whole.verdict);
            expect(new Set(asked).size).toBe(measuredRows(found.metric));
            verdicts.add(verdict.verdict);
            expect(whole.failed).toEqual(expect.arrayContaining([...verdict.failed]));
            if (!found.metric.curtailed) expect(found).toEqual(simulated.candidate);
            else {
              curtailed++;
              expect(whole.verdict).toBe('failed');
              const { value } = simulated.candidate.metric;
              expect(metric === 'loss' ? found.metric.value <= value : found.metric.value >= value).toBe(true);
            }
          }
        }
      }
    }
    expect(verdicts).toEqual(new Set(['passed', 'inconclusive', 'failed']));
    expect(curtailed).toBeGreaterThan(40);
  });
});

describe('the rows that a look measures', () => {
  it('are all rows in parts of about 32, first those that are wrong, whatever the data set is sorted by', () => {
    const simulated = simulate('accuracy', 400, { level: 0.9, harm: 0 }, 3);
    const { values } = simulated.reference.outcomes;
    const parts = lookOrder('accuracy', 400, simulated.reference);
    expect(parts.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 400 }, (_, row) => row));
    expect(new Set(parts.map(({ length }) => length))).toEqual(new Set([30, 31]));
    const shares = parts.map((part) => part.reduce((sum, row) => sum + values[row]!, 0) / part.length);
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
    expect(shares[0]).toBe(0);
    const ends = parts.slice(3).map((part) => Math.max(...part) - Math.min(...part));
    expect(Math.min(...ends)).toBeGreaterThan(200);
    expect(lookOrder('accuracy', 400, simulated.reference)).toEqual(parts);
  });

  // docs/method/gate.md has this table.
  it.each([
    { right: 0.7, measured: { 0.1: 77, 0.2: 61, 0.5: 51 } },
    { right: 0.8, measured: { 0.1: 64, 0.2: 48, 0.5: 37 } },
    { right: 0.9, measured: { 0.1: 50, 0.2: 35, 0.5: 23 } },
    { right: 0.95, measured: { 0.1: 44, 0.2: 27, 0.5: 17 } },
  ])(
    'are fewer the more the reference has right ($right) and the candidate loses',
    async ({ right, measured: shares }) => {
      const gate: Gate = { metric: 'accuracy', kind: 'relative', margin: 0.03 };
      for (const [lost, percent] of Object.entries(shares)) {
        let measuredInAll = 0;
        for (let seed = 1; seed <= 50; seed++) {
          const { found } = await look(gate, losing({ right, lost: Number(lost) }, seed), true);
          measuredInAll += measuredRows(found.metric);
        }
        expect(Math.abs((100 * measuredInAll) / (50 * 400) - percent)).toBeLessThan(1);
      }
    },
  );
});

/** 400 rows. The candidate loses a share of the right ones and gains a third of that share of the wrong ones. */
function losing({ right, lost }: { readonly right: number; readonly lost: number }, seed: number): Simulated {
  const random = Random.fromSeed(seed);
  const before = Float64Array.from({ length: 400 }, () => Number(random.uniform() < right));
  const after = before.map((value) => Number(random.uniform() < (value === 1 ? 1 - lost : lost / 3)));
  const tokens = Array.from(before, () => 1);
  return { reference: measured('accuracy', before, tokens), candidate: measured('accuracy', after, tokens) };
}

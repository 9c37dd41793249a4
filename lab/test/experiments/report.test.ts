import { describe, expect, it } from 'vitest';
import { planExperiment, type CellItem, type Item } from '../../experiments/plan.ts';
import type { CellRecord, ResultRecord, TestScore } from '../../experiments/records.ts';
import { qualityPoints } from '../../experiments/report/charts/quality-over-time.ts';
import { toMarkdown } from '../../experiments/report/markdown.ts';
import { summarize } from '../../experiments/report/summary.ts';
import { tinyExperiment } from './support/tiny-experiment.ts';

const experiment = tinyExperiment();
const items = planExperiment(experiment);

const score = (right: string): TestScore => ({
  value: [...right].filter((one) => one === '1').length / right.length,
  standardError: 0,
  right,
});

/** Milliseconds to readiness (negative if the job was given up then) and test rows, by strategy and seed. */
const JOBS: Record<string, [number, string][]> = {
  copy: [
    [-1000, '1000'],
    [-1000, '0000'],
  ],
  scratch: [
    [40_000, '1100'],
    [-60_000, '1100'],
  ],
  tuned: [[10_000, '1110']],
};

const POINT = { at: 0, alpha: 1, beta: 0, rows: 16, loss: 1, ms: 700 };
const SEARCH: Record<string, CellRecord['search']> = { tuned: [POINT, { ...POINT, rows: 32 }] };

function recordsOf(item: Item): ResultRecord[] {
  const common = { key: item.key, ms: 1, at: '2026-01-01T00:00:00Z' };
  if (item.type === 'evolution' || item.type === 'surface') return [];
  const name = { task: 'past', adapter: 'lora4', seed: item.tenant.seed };
  if (item.type === 'tenant') return [{ ...common, ...name, type: 'tenant', old: score('1111') }];
  if (item.type === 'reference')
    return [{ ...common, ...name, type: 'reference', evolution: 'v2', none: score('0000'), copy: score('1000') }];
  return [{ ...common, ...name, ...job(item) }];
}

function job({
  strategy,
  rows,
  tenant,
}: CellItem): Omit<CellRecord, 'key' | 'ms' | 'at' | 'task' | 'adapter' | 'seed'> {
  const jobs = JOBS[strategy.name]!;
  const [ms, right] = jobs[jobs.length === 1 ? 0 : tenant.seed - 1]!;
  const candidate = (at: number, value: number) => ({
    at,
    value,
    id: 'x',
    strategy: 'scratch' as const,
    alpha: 1,
    beta: 0,
    step: 0,
    verdict: 'failed' as const,
  });
  const candidates = [
    candidate(1000 * tenant.seed, 0.2),
    candidate(5000, 0.1),
    candidate(9000 * tenant.seed, 0.4 * tenant.seed),
  ];
  const times =
    ms > 0
      ? { state: 'ready' as const, readyMs: ms, elapsedMs: 2 * ms }
      : { state: 'not_ready' as const, readyMs: null, elapsedMs: -ms };
  return {
    type: 'cell',
    evolution: 'v2',
    rows,
    strategy: strategy.name,
    ...times,
    warmUpMs: 0,
    candidates,
    search: SEARCH[strategy.name] ?? [],
    first: null,
    final: score(right),
  };
}

const records = items.flatMap(recordsOf);
const summary = summarize(experiment, items, records);

describe('the report of an experiment', () => {
  it('compares with scratch tenant by tenant and marks lower bounds', () => {
    const tuned = summary.overall.find(({ strategy }) => strategy === 'tuned')!;
    expect(tuned).toMatchObject({
      jobs: 1,
      ready: 1,
      medianTtr: 10_000,
      ratios: { scratch: { value: 6, bound: true } },
    });
    expect(tuned.gains.scratch!.mean).toBeCloseTo(0.25);
    expect(tuned.flips!.mean).toBeCloseTo(0.25);
    expect(tuned.copyFlips!.mean).toBeCloseTo(0.75);
    expect(summary.overall.find(({ strategy }) => strategy === 'copy')).toMatchObject({
      ready: 0,
      medianTtr: null,
      ratios: { scratch: { value: 0 } },
    });
    expect(summary.overall.find(({ strategy }) => strategy === 'scratch')).toMatchObject({
      medianTtr: 40_000,
      ratios: {},
    });
  });

  it('writes the tables and says that the run is not complete', () => {
    const text = toMarkdown(experiment, summary, { charts: [], command: 'npm run experiment' });
    expect(text).toContain('**This report is not complete: 9 of 10 items have been measured.**');
    expect(text).toMatch(
      /\| v2 \| past \| lora4 \| 16 \| 100\.0 ± 0\.0 \| 12\.5 ± \S+ · – \| 50\.0 ± 0\.0 · 40\.0 \| 75\.0 · 10\.0 \|/,
    );
    expect(text).toContain('| tuned | 1 | 1 | 10.0 | ≥ 6.00 | +25.0 | 25.0 (75.0) |');
    expect(text).toContain('| 16 | scratch | 1 of 2 | 40.0 | – | – | 70.0 | – | 50.0 ± 0.0 | – | 50.0 |');
    expect(text).toMatch(/\| 16 \| tuned \| 1 of 1 \| 10\.0 \| ≥ 6\.00 \| 1\.4 \| 20\.0 \|/);
    expect(text).toContain('The old version on the old base has 100.0 ± 0.0');
  });

  it('ignores records that are no longer planned, and lists failed jobs', () => {
    const stale = records.map((record) =>
      record.type === 'cell' && record.strategy === 'tuned' ? { ...record, key: 'cell stale' } : record,
    );
    expect(summarize(experiment, items, stale).overall.map(({ strategy }) => strategy)).toEqual(['copy', 'scratch']);
    const failed = records.map((record) =>
      record.type === 'cell' && record.strategy === 'tuned'
        ? { ...record, state: 'failed' as const, error: 'Error: no' }
        : record,
    );
    const report = summarize(experiment, items, failed);
    expect(report).toMatchObject({ planned: 10, measured: 8 });
    expect(toMarkdown(experiment, report, { charts: [], command: '' })).toMatch(
      /- cell v2 past lora4 seed-2 16 tuned #\w+ failed: Error: no/,
    );
  });
});

describe('the chart of quality', () => {
  it('draws the best value so far as a mean over seeds, once all of them have a candidate', () => {
    const points = qualityPoints(summary.jobs.filter(({ cell }) => cell.strategy === 'scratch'));
    expect(points.map(({ seconds, value }) => [seconds, value])).toEqual([
      [2, 0.2],
      [5, 0.2],
      [9, expect.closeTo(0.3)],
      [18, expect.closeTo(0.6)],
    ]);
  });
});

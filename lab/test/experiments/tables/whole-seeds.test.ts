import { describe, expect, it } from 'vitest';
import type { Item } from '../../../experiments/plan.ts';
import type { Experiment } from '../../../experiments/config/load-experiment.ts';
import { toMarkdown } from '../../../experiments/report/markdown.ts';
import { summarize } from '../../../experiments/report/summary.ts';
import { simulateResults, type World } from '../support/simulated-results.ts';

const WORLD: World = {
  strategies: {
    auto: { loss: 0.02, gain: 0.3, seconds: 5 },
    'auto-alone': { loss: 0.02, gain: 0.3, seconds: 5 },
    paper: { loss: 0.04, gain: 0.25, seconds: 20 },
    scratch: { loss: 0.1, gain: 0.1, seconds: 100 },
  },
  copy: { loss: 0.25, gain: 0.05 },
};
const SETTINGS = 'baselines: [scratch, paper]\nreport: { hypotheses: true }\nblind: true\nhours: 1';
const { experiment, items, records } = simulateResults(
  WORLD,
  { seeds: 5, testRows: 40, evolutions: ['helpful'], settings: SETTINGS },
  1,
);

/** Makes the report without the last job of each of these seeds. */
function without(seeds: readonly number[], of: Experiment = experiment) {
  const last = (seed: number): Item => items.findLast((item) => item.type === 'cell' && item.tenant.seed === seed)!;
  const gone = new Set(seeds.map((seed) => last(seed).key));
  const summary = summarize(
    of,
    items,
    records.filter(({ key }) => !gone.has(key)),
  );
  return { summary, text: toMarkdown(of, summary, { charts: [], command: '' }) };
}
const resultsOf = ({ summary }: ReturnType<typeof without>) =>
  summary.further.registered!.judgements.map(({ id, findings, result }) => [id, findings.length > 0, result]);

describe('a blind experiment that was ended by its hours', () => {
  it('counts whole seeds alone, and says how many', () => {
    const { summary, text } = without([105]);
    expect(new Set(summary.jobs.map(({ cell }) => cell.seed))).toEqual(new Set([101, 102, 103, 104]));
    expect(summary.comparisons.find(({ rows }) => rows === null)).toMatchObject({ pairs: 12, unpaired: 0 });
    expect(summary.further.registered!.results).not.toEqual([]);
    expect(text).toContain('whole seeds alone, which are 4 of 5 (101, 102, 103, 104), and nothing of those');
    expect(text).toContain(`${items.length - 1} of ${items.length} items have been measured`);
  });

  it('is judged from three whole seeds on, a fleet by the tenants that there are', () => {
    const three = without([104, 105]);
    expect(resultsOf(three).find(([id]) => id === 'H1')).toEqual(['H1', true, 'reached']);
    expect(resultsOf(three).find(([id]) => id === 'H3')![1]).toBe(true);
    expect(three.text).toMatch(/^- H3: judged on 3 tenants, /m);
    const two = without([103, 104, 105]);
    expect(resultsOf(two).every(([, judged, result]) => !judged && result === 'cannot be said')).toBe(true);
    expect(two.text).toContain('- H1: not judged, because only 2 seeds are whole, and the protocol asks for 3.');
  });

  it('counts everything where it is whole, and so does any other experiment', () => {
    expect(without([]).text).not.toContain('whole seeds');
    const other = without([105], { ...experiment, blind: false });
    expect(new Set(other.summary.jobs.map(({ cell }) => cell.seed)).size).toBe(5);
    expect(other.text).not.toContain('whole seeds');
    expect(other.text).toMatch(/^- H3: judged on 5 tenants, /m);
  });
});

it('a report says how many items ran beside other load', () => {
  const run = { type: 'run', key: 'run', ms: 0, at: '2026-01-01T00:00:00Z', threads: 2, config: {} } as never;
  const loaded = records.map((record, i) => ({ ...record, load: i < 3 ? 2.6 : 2.5 }));
  const summary = summarize(experiment, items, [run, ...loaded]);
  expect(summary.busy).toEqual({ limit: 2.5, above: 3, known: items.length });
  expect(without([]).summary.busy.known).toBe(0);
});

import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadExperiment } from '../../../experiments/config/load-experiment.ts';
import { toMarkdown } from '../../../experiments/report/markdown.ts';
import { summarize } from '../../../experiments/report/summary.ts';
import { simulateExperiment, type World } from '../support/simulated-results.ts';

const FILE = path.join(import.meta.dirname, '../../../experiments/registered/confirm.yaml');
const experiment = await loadExperiment(FILE);

const kept = { loss: 0.02, gain: 0.3 };
const WORLD: World = {
  strategies: {
    ...{ reuse: { ...kept, seconds: 1 }, revert: { ...kept, seconds: 1 }, 'warm-start': { ...kept, seconds: 20 } },
    ...{ auto: { ...kept, seconds: 5 }, 'auto-alone': { ...kept, seconds: 5 } },
    ...{ paper: { loss: 0.04, gain: 0.25, seconds: 20 }, scratch: { loss: 0.1, gain: 0.1, seconds: 100 } },
  },
  copy: { loss: 0.25, gain: 0.05 },
};
const { items, records } = simulateExperiment(experiment, WORLD, 20, 1);
const reportOf = (some: typeof records) => {
  const summary = summarize(experiment, items, some);
  return { summary, text: toMarkdown(experiment, summary, { charts: [], command: '' }) };
};

// The whole report is made once, because it draws thousands of samples of each ratio.
describe('the confirmatory part', () => {
  let whole: ReturnType<typeof reportOf>;
  beforeAll(() => {
    whole = reportOf(records);
  });

  it('has the jobs of each hypothesis', () => {
    const { summary } = whole;
    const notes = Object.fromEntries(summary.further.registered!.judgements.map(({ id, notes }) => [id, notes]));
    const ready = (count: number, strategy: string, other: string): string =>
      `pairs ready with both ${count}, with \`${strategy}\` alone 0, with \`${other}\` alone 0, with neither 0`;
    expect(notes).toEqual({
      // Each of 12 tenants has one size of neutral, one of helpful, two of harmful and one at the end of the chain.
      H1: ['60 pairs, 0 of them without a candidate'],
      H2: [ready(60, 'auto', 'paper')],
      H3: [
        ready(24, 'auto', 'scratch'),
        "judged on 12 tenants, each of whose jobs bears a twentieth of the evolution's computation",
      ],
      H4: [ready(24, 'auto-alone', 'scratch')],
      H5: ['64 rows: 12 pairs, 0 of them without a candidate', '256 rows: 24 pairs, 0 of them without a candidate'],
      H6: ['24 pairs, 0 of them without a candidate'],
      H7: [
        expect.stringMatching(/^\d+ of 324 certified publications, of 12 tenants; 324 jobs$/) as string,
        'without a single case, the upper end is 26.5 %',
      ],
      H8: ['40 of 60 jobs: those with a candidate whose metric judges rows right or wrong'],
      H9: ['12 of 12 jobs: those with a candidate'],
    });
  });

  it('compares every evolution and size of the opponents', () => {
    const { summary } = whole;
    const places = summary.further.registered!.differences.map(({ evolution, rows }) => `${evolution} ${rows}`);
    for (const one of ['neutral 256', 'helpful 1000', 'harmful 64', 'helpful-after-neutral 256'])
      expect(places).toContain(one);
    expect(places).not.toContain('neutral 64');
  });
});

describe('the confirmatory part with missing results', () => {
  it('counts whole seeds alone where it is cut off within one, with the evolutions of their tenants', () => {
    const last = items.findIndex(({ tenant }) => tenant!.seed === 103 && tenant!.task.name === 'home-commands');
    const done = new Set(items.slice(0, last + 1).map(({ key }) => key));
    const { summary, text } = reportOf(records.filter(({ key }) => done.has(key)));
    expect(summary.seeds).toEqual({ whole: [101, 102], open: [103, 104] });
    expect(summary.evolutions).toHaveLength(6 * 4);
    expect(new Set(summary.jobs.map(({ cell }) => cell.seed))).toEqual(new Set([101, 102]));
    expect(text).toContain('- H1: not judged, because only 2 seeds are whole, and the protocol asks for 3.');
  });

  it('does without the evolutions of a tenant that is excluded, and its seed is whole', () => {
    const excluded = items.find((item) => item.type === 'tenant' && item.tenant.seed === 102)!;
    const { name: task } = excluded.tenant!.task;
    const some = records.flatMap((record): typeof records => {
      if (record.key === excluded.key)
        return [{ ...record, type: 'failed_tenant', attempt: 2, error: 'Error: simulated' } as never];
      return 'task' in record && record.task === task && record.seed === 102 ? [] : [record];
    });
    const { summary, text } = reportOf(some);
    expect(summary.seeds).toEqual({ whole: [101, 102, 103, 104], open: [] });
    expect(summary.evolutions).toHaveLength(11 * 4);
    expect([summary.measured, summary.planned]).toEqual([11 * 36, 11 * 36]);
    expect(text).toContain(`- The tenant ${task} lora8 seed-102 is excluded from all strategies`);
    expect(text).toContain('- H3: judged on 11 tenants, ');
  });
});

import { describe, expect, it } from 'vitest';
import { forestChart } from '../../../experiments/report/charts/forest.ts';
import { toMarkdown } from '../../../experiments/report/markdown.ts';
import { summarize } from '../../../experiments/report/summary.ts';
import { markedTables, pageDifferences } from '../support/marked-tables.ts';
import { OLD_RIGHT, simulateResults, type World } from '../support/simulated-results.ts';

const WORLD: World = {
  strategies: {
    reuse: { loss: 0.25, gain: 0.05, seconds: 2, ready: 0 },
    auto: { loss: 0.02, gain: 0.3, seconds: 5 },
    paper: { loss: 0.04, gain: 0.25, seconds: 20 },
    scratch: { loss: 0.1, gain: 0.1, seconds: 100 },
  },
  copy: { loss: 0.25, gain: 0.05 },
};
const { experiment, items, records } = simulateResults(
  WORLD,
  {
    ...{ seeds: 3, testRows: 400, tasks: ['product-reviews', 'home-commands'], evolutions: ['neutral', 'helpful'] },
    ...{ rows: [64, 1500], settings: 'baselines: [scratch, paper]\nreport: { hypotheses: true }' },
  },
  1,
);
const summary = summarize(experiment, items, records);
const report = toMarkdown(experiment, summary, { charts: [], command: '' });
const tables = new Map(
  markedTables(report).map(({ name, rows }) => [name, rows.map((row) => row.split('|').slice(1, -1))]),
);

describe('the tables of a registered experiment', () => {
  it('open with a row for each strategy, with its differences and flips near to the truth', () => {
    const [header, reuse, auto, paper, scratch] = tables.get('results')!;
    expect(header).toEqual([
      ...[
        'strategy',
        'ready',
        'half ready after, s',
        'times sooner than scratch (95 %)',
        'points against scratch (95 %)',
      ],
      ...['times sooner than paper (95 %)', 'points against paper (95 %)', 'flips, % (copy)'],
    ]);
    expect([reuse, auto, paper, scratch].map((row) => row!.slice(0, 2))).toEqual([
      ['reuse', '0 of 24'],
      ['auto', '24 of 24'],
      ['paper', '24 of 24'],
      ['scratch', '24 of 24'],
    ]);
    // None is ready, so half of them took at least twice two seconds, and the ratio is 0.
    expect(reuse![2]).toMatch(/^≥ [34]\.\d$/);
    expect(reuse![3]).toBe('0.00 (0.00 to 0.00)');
    expect(scratch!.slice(3, 5)).toEqual(['', '']);
    const difference = OLD_RIGHT * (0.1 - 0.02) + (1 - OLD_RIGHT) * (0.3 - 0.1);
    expect(Math.abs(Number.parseFloat(auto![4]!) - 100 * difference)).toBeLessThan(1.5);
    expect(Math.abs(Number.parseFloat(auto![3]!) - 20)).toBeLessThan(2);
    const [, own, copied] = /^(\S+) \((\S+)\)$/.exec(auto![7]!)!;
    expect(Math.abs(Number(own) - 100 * OLD_RIGHT * 0.02)).toBeLessThan(0.7);
    expect(Math.abs(Number(copied) - 100 * OLD_RIGHT * 0.25)).toBeLessThan(2);
  });

  it('go on with one for each evolution and number of rows, and with the goals', () => {
    const places = tables.get('results by size')!.slice(1);
    expect(new Set(places.map((row) => row[3]))).toEqual(new Set(['0 of 6', '6 of 6']));
    expect(places.map((row) => row.slice(0, 3).join(' '))).toEqual(
      ['neutral', 'helpful'].flatMap((evolution) =>
        [64, 1500].flatMap((rows) => Object.keys(WORLD.strategies).map((name) => `${evolution} ${rows} ${name}`)),
      ),
    );
    expect(
      tables
        .get('goals')!
        .slice(1)
        .map(([id]) => id),
    ).toEqual(Array.from({ length: 9 }, (_, i) => `H${i + 1}`));
  });

  it('are left out unless the experiment asks for them', () => {
    const plain = { ...experiment, report: undefined };
    const text = toMarkdown(plain, summarize(plain, items, records), { charts: [], command: '' });
    expect(markedTables(text).map(({ name }) => name)).toEqual(['comparisons']);
  });
});

describe('a page with tables between marks', () => {
  const page = `# Page\n\n${report.slice(report.indexOf('<!-- simulated: results -->'))}`;

  it('is what the results give, whatever the width of its columns', () => {
    expect(pageDifferences(page.replaceAll('| auto', '|    `auto`   '), report, 'simulated')).toEqual([]);
  });

  it('differs by a digit, a missing row, a row too many, or a table that there is not', () => {
    const [, , auto] = markedTables(page)[0]!.rows;
    const figure = /\d+\.\d\d/.exec(page)![0];
    expect(pageDifferences(page.replace(figure, '987.65'), report, 'simulated')).toHaveLength(1);
    const lines = page.split('\n');
    const row = lines.findIndex((line) => line.startsWith('| `scratch`'));
    expect(pageDifferences(lines.toSpliced(row, 1).join('\n'), report, 'simulated')[0]).toMatch(
      /^results: the page has nothing, the results give \|scratch\|/,
    );
    expect(pageDifferences(lines.toSpliced(row, 0, '| more |').join('\n'), report, 'simulated')[0]).toMatch(/\|more\|/);
    expect(pageDifferences(page, report.replaceAll(': goals -->', ': aims -->'), 'simulated')).toEqual([
      'the report of simulated has no table "goals"',
    ]);
    expect(auto).toContain('auto');
  });

  it('with a mark that has no end is refused', () => {
    expect(() => markedTables(page.replace('<!-- end of simulated: goals -->', ''))).toThrow(
      '5 tables begin with a mark and 4',
    );
  });
});

describe('the chart of differences', () => {
  it('has a panel for each other strategy, with a line for all jobs and for each evolution and number of rows', () => {
    const { data } = forestChart(summary.further.registered!.differences, 1) as {
      data: { values: Record<string, unknown>[] };
    };
    expect([...new Set(data.values.map(({ other }) => other))]).toEqual(['reuse', 'paper', 'scratch']);
    const scratch = data.values.filter(({ other }) => other === 'scratch');
    expect(scratch.map(({ place, isOverall }) => [place, isOverall])).toEqual([
      ['all', true],
      ...['neutral, 64 rows', 'neutral, 1500 rows', 'helpful, 64 rows', 'helpful, 1500 rows'].map((place) => [
        place,
        false,
      ]),
    ]);
    const overall = scratch[0]!;
    const quality = summary.comparisons.find(
      ({ strategy, other }) => strategy === 'auto' && other === 'scratch',
    )!.quality!;
    expect([overall['low'], overall['difference'], overall['high']]).toEqual(
      [quality.interval![0], quality.mean, quality.interval![1]].map((value) => 100 * value),
    );
  });
});

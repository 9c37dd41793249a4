import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadExperiment } from '../../experiments/config/load-experiment.ts';
import type { FixedStepsRecord } from '../../experiments/fixed-steps/measure.ts';
import { toMarkdown as fixedStepsTable } from '../../experiments/fixed-steps/report.ts';
import type { InitialRecord } from '../../experiments/initial-adapters/records.ts';
import { taskTable, toMarkdown as initialAdaptersTables } from '../../experiments/initial-adapters/report.ts';
import { STARTS } from '../../experiments/initial-adapters/starts.ts';
import { NEAR } from '../../../core/method/ladder/rungs.ts';
import { readJsonLines } from '../../experiments/json-lines.ts';
import { planExperiment } from '../../experiments/plan.ts';
import type { CellRecord, ReferenceRecord, ResultRecord, TenantRecord } from '../../experiments/records.ts';
import { toMarkdown } from '../../experiments/report/markdown.ts';
import { points } from '../../experiments/report/comparisons/written-intervals.ts';
import { summarize } from '../../experiments/report/summary.ts';
import { Results } from '../../experiments/results.ts';
import { hasEnded, standingOf } from '../../experiments/run/standing.ts';
import { markedTables, pageDifferences, rowsOf } from './support/marked-tables.ts';

const ROOT = path.join(import.meta.dirname, '../../..');

/** Reads the records of a kept file. */
const kept = <T>(name: string): Promise<T[]> => readJsonLines<T>(path.join(ROOT, 'lab/experiments/results', name));

/** Makes the report of an experiment from its kept results, without running anything. */
async function keptReport(name: string): Promise<string> {
  const experiment = await loadExperiment(
    path.join(ROOT, `lab/experiments/${name.replace('registered-', 'registered/')}.yaml`),
  );
  const [items, results] = [planExperiment(experiment), new Results(await kept(`${name}.gz`))];
  const summary = summarize(experiment, items, results.records);
  // A blind experiment may have failed jobs, or have been ended by its hours: its protocol covers both.
  if (experiment.blind) expect(hasEnded(experiment, standingOf(items, results, null))).toBe(true);
  else expect([summary.measured, summary.failed]).toEqual([summary.planned, []]);
  return toMarkdown(experiment, summary, { charts: [], command: '' });
}

test('docs/method/gate.md has what the kept results of the check of the gate say', async () => {
  const made = rowsOf(await keptReport('gate-check'));
  const page = await readFile(path.join(ROOT, 'docs/method/gate.md'), 'utf8');
  const shown = rowsOf(/## On test rows\n([^]*?)\n## /.exec(page)?.[1] ?? '');
  expect(shown.length).toBeGreaterThan(8);
  // Skip the second line of a table, which has no figures.
  for (const row of shown.filter((line) => !line.includes('--'))) expect(made).toContain(row);
});

describe('tables between marks', async () => {
  const pages = [
    'docs/experiments.md',
    ...(await readdir(path.join(ROOT, 'lab/docs')))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `lab/docs/${name}`),
  ];
  const texts = new Map(
    await Promise.all(pages.map(async (page) => [page, await readFile(path.join(ROOT, page), 'utf8')] as const)),
  );
  const shown = [...texts].flatMap(([page, text]) => {
    return [...new Set(markedTables(text).map(({ experiment }) => experiment))].map((name) => [page, name] as const);
  });

  test.each(shown)('of %s are those that the kept results of %s give', async (page, name) => {
    expect(pageDifferences(texts.get(page)!, await keptReport(name), name)).toEqual([]);
  });
});

test('the page on the ladder has how often revert was certified in the registered run, by its loss', async () => {
  const cells = (await kept<ResultRecord>('registered-confirm.gz')).filter((record) => record.type === 'cell');
  const found = { near: [0, 0], far: [0, 0] };
  for (const revert of cells.filter(({ strategy }) => strategy === 'revert')) {
    const { search } = cells.find(({ strategy, evolution, rows, task, seed }) => {
      const [own, other] = [{ evolution, rows, task, seed }, revert];
      return (
        strategy === 'auto' && Object.entries(own).every(([key, value]) => other[key as keyof typeof own] === value)
      );
    })!;
    // A search measures all rows, the comparison before it only the first ones.
    const lossesAt = (beta: number) => search.filter((point) => point.alpha === 1 && point.beta === beta);
    const rows = Math.min(...[0, -1].map((beta) => lossesAt(beta).at(-1)!.rows));
    const [copy, reverted] = [0, -1].map((beta) => lossesAt(beta).find((point) => point.rows === rows)!.loss);
    const multiple = reverted! / copy!;
    const counts = found[multiple >= NEAR.least && multiple <= NEAR.most ? 'near' : 'far'];
    counts[revert.state === 'ready' ? 0 : 1]! += 1;
  }
  expect(found).toEqual({ near: [15, 4], far: [0, 29] });
  const page = (await readFile(path.join(ROOT, 'docs/method/ladder.md'), 'utf8')).replaceAll('\n', ' ');
  expect(page).toContain(
    `of ${15 + 4 + 29} tenants and updates, 19 lie between them by the losses that \`auto\` had measured, ` +
      'mostly on 16 search rows. At 15 of these the strategy `revert` was certified',
  );
  expect(page).toContain('of the 29 others, at none');
});

test('the page on the search has the jobs that are kept of three orders of auto', async () => {
  type Job = CellRecord & { readonly order: string };
  const jobs = await kept<Job>('look-or-search.jsonl');
  expect(jobs).toHaveLength(3 * 8);
  const cellOf = ({ candidates, readyMs, elapsedMs, final }: Job): string => {
    const seconds = ((readyMs ?? elapsedMs) / 1000).toFixed(0);
    return [candidates.length, readyMs === null ? `(${seconds})` : seconds, (100 * final!.value).toFixed(1)].join(
      ' · ',
    );
  };
  const page = await readFile(path.join(ROOT, 'lab/docs/search.md'), 'utf8');
  const [, section = ''] = /\n## Look or search first\n([^]*?)\n## /.exec(page) ?? [];
  const shown = rowsOf(section).filter((line) => !line.includes('--'));
  const places = jobs.filter(({ order }) => order === 'now');
  const lines = places.map(({ evolution, task }) => {
    const cells = ['before', 'search first', 'now'].map((order) =>
      cellOf(jobs.find((job) => job.order === order && job.evolution === evolution && job.task === task)!),
    );
    return `| ${[evolution, task, ...cells].join(' | ')} |`;
  });
  expect(shown.slice(1)).toEqual(rowsOf(lines.join('\n')));
});

test.each([
  ['With SmolLM2', 'fixed-steps-smollm2.jsonl', 56],
  ['Prompts alone', 'fixed-steps-prompts.jsonl', 64],
  // Two starts, each alone and with four ways to learn.
  ['On the demo family, after the same number of steps', 'fixed-steps.jsonl', 8 * 10],
])('the page on distillation has in "%s" what the kept records in %s say', async (heading, file, count) => {
  const records = await kept<FixedStepsRecord>(file);
  expect(records).toHaveLength(count);
  const page = await readFile(path.join(ROOT, 'lab/docs/distillation.md'), 'utf8');
  const [, section = ''] = new RegExp(`\n## ${heading}\n([^]*?)\n## `).exec(page) ?? [];
  const shown = rowsOf(section).filter((line) => !line.includes('--'));
  expect(shown).toEqual(rowsOf(fixedStepsTable(records)).filter((line) => !line.includes('--')));
  expect(shown.length).toBeGreaterThan(8);
});

test('the page on initial adapters has what the kept records say', async () => {
  const records = await kept<InitialRecord>('initial-adapters.gz');
  const starts = STARTS.length;
  // Four tasks and three seeds, each with the old version.
  expect(records).toHaveLength(12 * (starts + 1));
  const page = await readFile(path.join(ROOT, 'lab/docs/initial-adapters.md'), 'utf8');
  const [, section = ''] = /## The demo family\n([^]*?)\n## /.exec(page) ?? [];
  const shown = rowsOf(section).filter((line) => !line.includes('--'));
  // The old version has no line in the second table; both have a header.
  expect(shown).toHaveLength(2 * starts + 3);
  expect(shown).toEqual(rowsOf(initialAdaptersTables(records)).filter((line) => !line.includes('--')));
});

test('… and of SmolLM2', async () => {
  const records = await kept<InitialRecord>('first-harmful.gz');
  expect(records).toHaveLength(3 * 6);
  const page = await readFile(path.join(ROOT, 'lab/docs/initial-adapters.md'), 'utf8');
  const [, section = ''] = /## SmolLM2\n([^]*)/.exec(page) ?? [];
  const shown = rowsOf(section).filter((line) => !line.includes('--'));
  const byTask = rowsOf(taskTable(records, ['revert', 'revert, covariance of its own inputs']));
  // Six starts, and two of them for each of three tasks; both tables have a header.
  expect(shown).toHaveLength(7 + 7);
  expect(shown.slice(7)).toEqual(byTask.filter((line) => !line.includes('--')));
  expect(rowsOf(initialAdaptersTables(records))).toEqual(expect.arrayContaining(shown.slice(0, 7)));
});

test.each([
  ['harmful', 'harmful-check.gz'],
  ['neutral', 'evolutions-check.gz'],
  ['helpful', 'helpful-check.gz'],
])('the protocol has how copies change on `%s` by the kept results', async (evolution, file) => {
  const lines = await kept<ResultRecord>(file);
  const changeOf = (task: string): number => {
    const old = lines.find((line): line is TenantRecord => line.type === 'tenant' && line.task === task)!;
    const isReference = (line: ResultRecord): line is ReferenceRecord =>
      line.type === 'reference' && line.task === task && line.evolution === evolution;
    return lines.find(isReference)!.copy.value - old.old.value;
  };
  const changes = ['sst2', 'agnews', 'past'].map(changeOf);
  const mean = changes.reduce((sum, change) => sum + change, 0) / 3;
  const [sst2, agnews, past, all] = [...changes, mean].map((change) => points(change).replace(/^[+−](?=0\.0$)/, ''));
  const protocol = await readFile(path.join(ROOT, 'lab/docs/protocol.md'), 'utf8');
  expect(protocol.replaceAll('\n', ' ')).toContain(
    `they change by ${sst2}, ${agnews} and ${past} points on the same seed, ${all} on average`,
  );
});

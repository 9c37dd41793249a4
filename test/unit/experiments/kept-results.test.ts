import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { loadExperiment } from '../../../experiments/config/load-experiment.ts';
import { RECORDS_OF_TENANT } from '../../../experiments/fixed-steps/measure.ts';
import { readRecords } from '../../../experiments/fixed-steps/records.ts';
import { toMarkdown as fixedStepsTable } from '../../../experiments/fixed-steps/report.ts';
import { readRecords as readInitialRecords } from '../../../experiments/initial-adapters/records.ts';
import { toMarkdown as initialAdaptersTables } from '../../../experiments/initial-adapters/report.ts';
import { STARTS } from '../../../experiments/initial-adapters/starts.ts';
import { planExperiment } from '../../../experiments/plan.ts';
import type { ResultRecord } from '../../../experiments/records.ts';
import { toMarkdown } from '../../../experiments/report/markdown.ts';
import { summarize } from '../../../experiments/report/summary.ts';

const ROOT = path.join(import.meta.dirname, '../../..');

/** The rows of a page's tables, as cells without the spaces around them. */
const rowsOf = (text: string): string[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) =>
      line
        .split('|')
        .map((cell) => cell.trim().replaceAll('`', ''))
        .join('|'),
    );

/** The rows of the tables that the kept results of an experiment give, without running anything. */
async function keptTables(name: string): Promise<string[]> {
  const experiment = await loadExperiment(path.join(ROOT, `experiments/${name}.yaml`));
  const kept = gunzipSync(await readFile(path.join(ROOT, `experiments/results/${name}.gz`))).toString('utf8');
  const records = kept
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as ResultRecord);
  const summary = summarize(experiment, planExperiment(experiment), records);
  expect([summary.measured, summary.failed]).toEqual([summary.planned, []]);
  return rowsOf(toMarkdown(experiment, summary, { charts: [], command: '' }));
}

test.each([
  ['docs/method/gate.md', /## On test rows\n([^]*?)\n## /, 8],
  ['docs/experiments/how-it-is-measured.md', /## Comparisons with intervals\n([^]*?)\n## /, 3],
])('%s has what the kept results of the check of the gate say', async (page, section, least) => {
  const made = await keptTables('gate-check');
  const shown = rowsOf(section.exec(await readFile(path.join(ROOT, page), 'utf8'))?.[1] ?? '');
  expect(shown.length).toBeGreaterThan(least);
  // The second line of a table has no figures.
  for (const row of shown.filter((line) => !line.includes('--'))) expect(made).toContain(row);
});

test('the page on distillation has what the kept records of the same number of steps say', async () => {
  const records = await readRecords(path.join(ROOT, 'experiments/results/fixed-steps.jsonl'));
  expect(records).toHaveLength(8 * RECORDS_OF_TENANT);
  const page = await readFile(path.join(ROOT, 'docs/experiments/distillation.md'), 'utf8');
  const [, section = ''] = /## After the same number of steps\n([^]*?)\n## /.exec(page) ?? [];
  const shown = rowsOf(section).filter((line) => !line.includes('--'));
  expect(shown).toEqual(rowsOf(fixedStepsTable(records)).filter((line) => !line.includes('--')));
  expect(shown).toHaveLength(11);
});

test('the page on initial adapters has what the kept records say', async () => {
  const records = await readInitialRecords(path.join(ROOT, 'experiments/results/initial-adapters.gz'));
  const starts = Object.keys(STARTS).length;
  // Four tasks and three seeds, each with the old version.
  expect(records).toHaveLength(12 * (starts + 1));
  const page = await readFile(path.join(ROOT, 'docs/experiments/initial-adapters.md'), 'utf8');
  const [, section = ''] = /## The demo family\n([^]*?)\n## /.exec(page) ?? [];
  const shown = rowsOf(section).filter((line) => !line.includes('--'));
  // The old version has no line in the second table; both have a header.
  expect(shown).toHaveLength(2 * starts + 3);
  expect(shown).toEqual(rowsOf(initialAdaptersTables(records)).filter((line) => !line.includes('--')));
});

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { loadExperiment } from '../../../experiments/config/load-experiment.ts';
import { RECORDS_OF_TENANT } from '../../../experiments/fixed-steps/measure.ts';
import { readRecords } from '../../../experiments/fixed-steps/records.ts';
import { toMarkdown as fixedStepsTable } from '../../../experiments/fixed-steps/report.ts';
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

test('the page on the gate has what the kept results of its check say', async () => {
  const experiment = await loadExperiment(path.join(ROOT, 'experiments/gate-check.yaml'));
  const kept = gunzipSync(await readFile(path.join(ROOT, 'experiments/results/gate-check.gz'))).toString('utf8');
  const records = kept
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as ResultRecord);
  const summary = summarize(experiment, planExperiment(experiment), records);
  expect([summary.measured, summary.failed]).toEqual([summary.planned, []]);
  const made = rowsOf(toMarkdown(experiment, summary, { charts: [], command: '' }));
  const page = await readFile(path.join(ROOT, 'docs/method/gate.md'), 'utf8');
  const [, section = ''] = /## On test rows\n([^]*?)\n## /.exec(page) ?? [];
  const shown = rowsOf(section);
  expect(shown.length).toBeGreaterThan(8);
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

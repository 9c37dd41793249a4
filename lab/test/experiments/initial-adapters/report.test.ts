import { expect, it } from 'vitest';
import { OLD_VERSION, type InitialRecord } from '../../../experiments/initial-adapters/records.ts';
import { pairedInterval } from '../../../experiments/report/comparisons/paired-interval.ts';
import { taskTable, toMarkdown } from '../../../experiments/initial-adapters/report.ts';

const record = (seed: number, start: string, right: string, loss: number): InitialRecord => ({
  ...{ key: `v2 ${seed}`, evolution: 'v2', task: 'past', adapter: 'lora8', seed, start, loss },
  ...{ value: [...right].filter((one) => one === '1').length / right.length, standardError: 0, right },
  cost: { ms: 500, forward: 64, backward: 0 },
});
const RECORDS = [
  record(1, OLD_VERSION, '1111', 0.5),
  record(1, 'revert', '1110', 0.6),
  record(1, 'search', '1100', 0.7),
  record(2, OLD_VERSION, '1110', 0.5),
  record(2, 'revert', '1111', 0.6),
  record(2, 'search', '0111', 0.8),
];

it('compares each start row by row with the revert, the search and the old version', () => {
  const lines = toMarkdown(RECORDS).split('\n');
  expect(lines).toContain('## v2');
  expect(lines.some((line) => line.startsWith('| old version | 87.5 | – | 0.500 | +0.0 ('))).toBe(true);
  // Of the 8 rows, revert has lost one and the search three.
  expect(lines.some((line) => line.startsWith('| revert | 87.5 | 12.5 | 0.600 | – | +25.0 ('))).toBe(true);
  const search = lines.find((line) => line.startsWith('| search |'))!;
  expect(search).toMatch(/^\| search \| 62.5 \| 37.5 \| 0.750 \| −25.0 \([^|]* \| – \| \+25.0 \([^|]* \| \+0.150 \(/);
  // The losses of the two tenants differ by 0.1 and 0.2.
  const ends = pairedInterval([[[0.1], [0.2]]]).interval!.map((end) => Math.abs(end).toFixed(3));
  expect(search.endsWith(`| +0.150 (−${ends[0]} to +${ends[1]}) |`)).toBe(true);
  expect(lines).toContain('| revert | 64 | 0 |');
});

it('has a table for all evolutions where there are several', () => {
  const more = RECORDS.map((one) => ({ ...one, evolution: 'v3', key: `v3 ${one.seed}`, loss: one.loss + 1 }));
  const made = toMarkdown([...RECORDS, ...more]);
  expect(made.match(/^## .*$/gm)).toEqual(['## All evolutions', '## v2', '## v3', '## What they take']);
  expect(made).toMatch(/\| revert \| 87.5 \| 12.5 \| 1.100 \|/);
});

it('has a table of tasks with the starts that are asked for', () => {
  const more = RECORDS.map((one) => ({ ...one, task: 'plural', key: `plural ${one.seed}`, loss: one.loss + 1 }));
  const lines = taskTable([...RECORDS, ...more], ['revert', 'another']).split('\n');
  expect(lines.slice(2)).toEqual([
    '| past | revert | 87.5 | 12.5 | 0.6000 | 0.5 |',
    '| plural | revert | 87.5 | 12.5 | 1.6000 | 0.5 |',
  ]);
});

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { gateOf } from '../../../cli/options/gate-options.ts';
import { sliceText } from '../../../cli/reports/certificate-text.ts';
import { flipsText } from '../../../cli/reports/rebase-report.ts';
import type { SliceDocument } from '../../../core/method/gate/certificate-document.ts';
import type { JobOutcome } from '../../../core/adaptation/job-outcome.ts';
import {
  createTinyFamily,
  removeTinyFamily,
  tasteRows,
  toJsonl,
  type TinyFamily,
} from '../training/support/tiny-task.ts';
import { readapt } from './support/readapt.ts';

let family: TinyFamily;
beforeAll(async () => {
  family = await createTinyFamily();
  const rows = tasteRows(48).map((row, i) => ({ ...row, slices: [i % 2 === 0 ? 'a=b' : 'odd'] }));
  await writeFile(path.join(family.folder, 'sliced.jsonl'), toJsonl(rows));
});
afterAll(() => removeTinyFamily(family));

it('rebase reports critical slices and the rows that are lost, for programs and for people', async () => {
  const { folder, oldBase, newBase, adapter } = family;
  const file = (name: string) => path.join(folder, name);
  const run = (out: string, ...more: string[]) =>
    readapt(
      ...[
        'rebase',
        '--old-base',
        oldBase,
        '--base',
        newBase,
        '--adapter',
        adapter,
        '--validation',
        file('sliced.jsonl'),
      ],
      ...['--out', file(out), '--strategy', 'reuse', '--margin', '0.9', '--threads', '1'],
      ...['--critical-slice', 'a=b=0.9', '--certified-slice', 'odd=0.95', ...more],
    );
  const { stdout } = await run('as-json', '--json');
  const document = JSON.parse(stdout) as {
    certificate: { slices: { name: string; certify: boolean; rows: number; value: number; old: number }[] };
    negative_flips: { row: number; slices: string[] }[];
    slices: { name: string; rows: number; value: number; old: number }[];
    ladder: { gate: { negative_flips: number } }[];
  };
  const { certificate, slices, negative_flips: flips } = document;
  expect(certificate.slices.map(({ name, certify }) => [name, certify])).toEqual([
    ['a=b', false],
    ['odd', true],
  ]);
  expect(certificate.slices).toMatchObject(slices);
  expect(flips).toHaveLength(Math.round(document.ladder[0]!.gate.negative_flips * 32));
  for (const { row, slices: named } of flips) expect(named).toEqual([row % 2 === 1 ? 'a=b' : 'odd']);
  const explained = await run('explained', '--explain');
  expect(explained.stdout).toMatch(/critical a=b +\d+\.\d % \(old \d+\.\d %, margin 90 points, \d+ rows\)/);
  expect(explained.stdout.includes('rows that were right and are wrong now')).toBe(flips.length > 0);
});

it('the options of slices make the gate that the API takes', () => {
  const criticalSlice = [{ name: 'de', margin: 0.1 }];
  const certifiedSlice = [{ name: 'fr', margin: 0.2, certify: true }];
  const slices = [...criticalSlice, ...certifiedSlice];
  expect(gateOf({ margin: 0.05, criticalSlice, certifiedSlice })).toEqual({ kind: 'relative', margin: 0.05, slices });
  expect(gateOf({ nonInferior: 0.05, criticalSlice })).toMatchObject({
    kind: 'non_inferiority',
    slices: criticalSlice,
  });
  expect(gateOf({ margin: 0.05 })).not.toHaveProperty('slices');
});

it('a critical slice says what it has, had and may lose, and what the gate says of it', () => {
  const slice: SliceDocument = {
    ...{ name: 'de', margin: 0.1, certify: false, rows: 20, value: 0.75, old: 0.8, bound: 0.5 },
    ...{ verdict: 'inconclusive', rows_needed: 200 },
  };
  expect(sliceText(slice, 'accuracy')).toBe(
    '75.0 % (old 80.0 %, margin 10 points, 20 rows): good enough, not certified; about 200 rows would certify it',
  );
  expect(sliceText({ ...slice, certify: true, rows_needed: null }, 'loss')).toBe(
    '0.7500 (old 0.8000, margin 0.1 nats, 20 rows): inconclusive',
  );
  expect(sliceText({ ...slice, verdict: 'failed', rows_needed: null }, 'accuracy')).toMatch(/: failed$/);
  expect(sliceText({ ...slice, verdict: 'passed', rows_needed: null }, 'accuracy')).toMatch(/: certified$/);
});

it('lost rows are listed by line with their slices, and the others are counted', () => {
  const flips = Array.from({ length: 30 }, (_, i) => ({ row: i + 1, slices: i === 0 ? ['de', 'fr'] : [] }));
  const best = { negativeFlips: 0.5, metric: { rows: 100 } } as JobOutcome['best'];
  expect(flipsText({ flips, best })).toMatch(/^rows .* by line: 1 \(de, fr\), 2, 3, .*, 20, and 30 more\n$/);
  expect(flipsText({ flips: [], best })).toBe('');
});

import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Experiment } from '../../../experiments/config/load-experiment.ts';
import { planExperiment } from '../../../experiments/plan.ts';
import type { ResultRecord } from '../../../experiments/records.ts';
import { driftChart } from '../../../experiments/report/charts/drift.ts';
import { toMarkdown } from '../../../experiments/report/markdown.ts';
import { summarize } from '../../../experiments/report/summary.ts';
import { runTiny } from '../support/run-tiny.ts';
import { tinyExperiment } from '../support/tiny-experiment.ts';

const FAMILY = path.join(import.meta.dirname, '../../../../examples/demo-family');

let folder: string;
let out: string;
let experiment: Experiment;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'readapt-apart-'));
  out = path.join(folder, 'out');
  experiment = tinyExperiment((yaml) =>
    yaml
      .replace(`${FAMILY}/v2`, path.join(folder, 'v2'))
      .replace(/tasks:\n([^]*?)adapters:/, (_, task: string) => {
        return `tasks:\n${task}${task.replaceAll('past', 'plural')}adapters:`;
      })
      .replace(/ {2}- \{ name: tuned.*\n/, '')
      .concat('tenants_apart: true\n'),
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Makes the evolution again with other weights, as another machine does. */
async function makeEvolution(from: string): Promise<void> {
  await rm(path.join(folder, 'v2'), { recursive: true, force: true });
  await cp(path.join(FAMILY, from), path.join(folder, 'v2'), { recursive: true });
}

const runUntil = (last: string) => runTiny(experiment, out, { onLog: (line) => line.includes(`] ${last}:`) });
const file = (): string => path.join(out, 'results.jsonl');
const linesOf = async (): Promise<string[]> => (await readFile(file(), 'utf8')).split('\n').slice(0, -1);
const keysOf = (lines: readonly string[]): string[] =>
  lines
    .map((line) => JSON.parse(line) as ResultRecord)
    .filter(({ type }) => type !== 'run' && type !== 'begun')
    .map(({ key }) => key);

it('measures each tenant with the evolutions that it began with, and the next one with others', async () => {
  const planned = planExperiment(experiment).map(({ key }) => key);
  await makeEvolution('v2');
  await runUntil('cell v2 plural lora4 seed-1 16 rows, scratch');
  const before = await linesOf();
  expect(keysOf(before)).toEqual(planned.slice(0, 10));

  // This evolution equals the base, so that its drift is zero.
  await makeEvolution('v1');
  await runUntil('reference v2 past lora4 seed-2');
  expect(keysOf(await linesOf())).toEqual(planned.slice(0, 13));
  await makeEvolution('v2');
  await expect(runTiny(experiment, out)).rejects.toThrow('past lora4 seed-2 has begun under these other conditions');

  // After following the advice of the message, the tenant begins anew with the present weights.
  const kept = (await linesOf()).filter((line) => !line.includes(' past lora4 seed-2 '));
  await writeFile(file(), kept.map((line) => `${line}\n`).join(''));
  await runUntil('cell v2 past lora4 seed-2 16 rows, scratch');
  await makeEvolution('v1');
  const records = await runTiny(experiment, out);
  const lines = await linesOf();
  expect(keysOf(lines)).toEqual(planned);
  expect(lines.slice(0, before.length)).toEqual(before);

  const drifts = records.flatMap((one) => (one.type === 'evolution' ? [[one.task, one.seed, one.drift] as const] : []));
  expect(drifts.map(([task, seed]) => [task, seed])).toEqual([
    ['past', 1],
    ['plural', 1],
    ['past', 2],
    ['plural', 2],
  ]);
  const [first, second, third, fourth] = drifts.map(([, , drift]) => drift);
  expect(first).toBeGreaterThan(0.001);
  expect([second, third, fourth]).toEqual([first, first, 0]);

  const summary = summarize(experiment, planExperiment(experiment), records);
  const text = toMarkdown(experiment, summary, { charts: [], command: '' });
  for (const name of ['past lora4 seed-1', 'plural lora4 seed-2']) expect(text).toContain(`| v2, ${name} `);
  expect(text).not.toContain('computed once for all tenants');
  // Three equal evolutions are drawn once.
  const { values } = driftChart(summary.evolutions).data as { values: { evolution: string }[] };
  expect([...new Set(values.map(({ evolution }) => evolution))]).toEqual([
    'v2, past lora4 seed-1',
    'v2, plural lora4 seed-2',
  ]);

  // A repeated job of an earlier tenant does not use the difference that was computed for a later tenant.
  await makeEvolution('v2');
  const again = lines.filter((line) => !line.includes('"key":"cell v2 past lora4 seed-1 16 scratch'));
  await writeFile(file(), again.map((line) => `${line}\n`).join(''));
  await runTiny(experiment, out);
  const added = (await linesOf()).slice(again.length).map((line) => JSON.parse(line) as ResultRecord);
  expect(added.map(({ type }) => type)).toEqual(['run', 'evolution', 'begun', 'cell']);
  expect(added[1]).toMatchObject({ key: planned[0], task: 'past', adapter: 'lora4', seed: 1, drift: first });
});

import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { STEP_GAIN } from '../../core/method/search/search-task.ts';
import { COPY, REVERT } from '../../core/method/fusion/coefficients.ts';
import type { SearchRecord } from '../../core/method/search/relative-losses.ts';
import { evolutionBetween } from '../../core/adaptation/evolve.ts';
import { Session } from '../../core/engine/base-cache.ts';
import { median } from '../engine/statistics.ts';
import { measureStep, search, type SearchCase, type SearchRun } from './measure.ts';
import { adapterOf, FAMILY, makeFleet } from './workload.ts';

const command = new Command('bench:fleet-search')
  .description(
    'searches of a fleet of small adapters one after the other, each from what those before it found, against each alone',
  )
  .option('--adapters <n>', 'adapters, of the demo family’s four tasks in turn', Number, 20)
  .option('--search-rows <n>', 'search rows of each', Number, 64)
  .option('--train-rows <n>', 'rows that each is trained on', Number, 400)
  .option('--steps <n>', 'steps of their training on version 1', Number, 120)
  .option('--step-gain <x>', 'share of the loss that a training step takes away', Number, STEP_GAIN)
  .option('--measure-step', 'measure that share, and what a training step costs, with the first adapters of each task')
  .option('--seed <n>', 'seed of everything that is random', Number, 0)
  .option(
    '--folder <dir>',
    'where trained adapters are kept for a next run',
    path.join(os.tmpdir(), 'readapt-fleet-search'),
  )
  .option('--json <file>', 'write all figures to this file')
  .parse();
const options = command.opts<{
  adapters: number;
  searchRows: number;
  trainRows: number;
  steps: number;
  stepGain: number;
  measureStep?: boolean;
  seed: number;
  folder: string;
  json?: string;
}>();

const session = new Session({ threads: os.availableParallelism() });
const [old, next] = [await session.base(path.join(FAMILY, 'v1')), await session.base(path.join(FAMILY, 'v2'))];
const evolution = await evolutionBetween(old, next);
const tenants = await makeFleet(old, options);
const cases: SearchCase[] = [];
for (const [i, tenant] of tenants.entries()) {
  process.stderr.write(`\radapter ${i + 1} of ${tenants.length}: ${tenant.name}   `);
  const adapter = await adapterOf(tenant, old, options);
  cases.push({ tenant, adapter, next, evolution, options: { stepGain: options.stepGain } });
}
process.stderr.write('\n');

if (options.measureStep) {
  for (const one of cases.slice(0, 8)) {
    for (const [name, from] of [
      ['copy', COPY],
      ['revert', REVERT],
    ] as const) {
      const { gain, passes } = await measureStep(one, from);
      const figures = `takes away ${(100 * gain).toFixed(2)} % of the loss; a row costs ${passes.toFixed(1)} forward passes`;
      console.log(`${one.tenant.name.padEnd(10)} a step from ${name.padEnd(6)} ${figures}`);
    }
  }
}

// Compiles what the timed searches need.
await search(cases[0]!, []);
const [fleet, runs]: [SearchRecord[][], { name: string; alone: SearchRun; learning: SearchRun }[]] = [[], []];
const describe = ({ alpha, beta, points, rows, ms, heldLoss }: SearchRun): string =>
  `${`(${alpha.toFixed(2)}, ${beta.toFixed(2)})`.padEnd(15)} ${`${points}`.padStart(3)} ${`${rows}`.padStart(5)} ${ms.toFixed(0).padStart(6)} ${heldLoss.toFixed(3).padStart(6)}`;
console.log('              alone: found, points, rows, ms, held-out loss / copy’s    from the fleet');
for (const [i, one] of cases.entries()) {
  // In turns, so that neither is always the one with warm caches.
  const first = i % 2 === 0 ? await search(one, []) : null;
  const learning = await search(one, fleet);
  const alone = first ?? (await search(one, []));
  fleet.push(learning.history.map(({ alpha, beta, rows, loss }) => ({ alpha, beta, rows, loss })));
  runs.push({ name: one.tenant.name, alone, learning });
  console.log(`${one.tenant.name.padEnd(12)} ${describe(alone)}    ${describe(learning)}`);
}

const quarter = Math.max(1, Math.floor(runs.length / 4));
const total = (list: readonly SearchRun[], what: 'ms' | 'rows' | 'points'): number =>
  list.reduce((sum, run) => sum + run[what], 0);
for (const kind of ['alone', 'learning'] as const) {
  const list = runs.map((run) => run[kind]);
  const [first, last] = [list.slice(0, quarter), list.slice(-quarter)];
  const share = (what: 'ms' | 'rows' | 'points'): string => (total(last, what) / total(first, what)).toFixed(2);
  console.log(
    `${kind === 'alone' ? 'each alone    ' : 'from the fleet'}: last quarter against the first: time ${share('ms')}, rows ${share('rows')}, points ${share('points')}; ` +
      `all: ${(total(list, 'ms') / 1000).toFixed(1)} s, ${total(list, 'rows')} rows; held-out loss / copy’s, median: ${median(list.map((run) => run.heldLoss)).toFixed(3)}`,
  );
}
if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify({ options, runs }, null, 2)}\n`);
await session.dispose();

import { writeFile } from 'node:fs/promises';
import { Command, InvalidArgumentError } from 'commander';
import { exitCodeOf, printError } from '../../../cli/process/errors.ts';
import { METRICS, type MetricName } from '../../../core/options/metrics.ts';
import { positive } from '../../bench/positive.ts';
import { readJsonLines } from '../json-lines.ts';
import type { ResultRecord } from '../records.ts';
import { recordedJobs } from './recorded-job.ts';
import { replayAll } from './replay.ts';
import { toMarkdown } from './report.ts';

interface Options {
  readonly results: string;
  readonly strategies: readonly string[];
  readonly gateRows: number;
  readonly rounds: number;
  readonly rowCost: LookCosts;
  readonly json?: string;
}

type LookCosts = Partial<Record<MetricName, number>>;

const options = new Command('experiment:replay')
  .description(
    'Run the looks of recorded jobs again as the gate takes them today, with all other times as recorded: what each ' +
      'change to the looks would have saved. Rows are drawn at random, like the recorded ones.',
  )
  .option('--results <file>', 'Raw results of an experiment.', 'lab/experiments/results/registered-confirm.gz')
  .option('--strategies <names...>', 'Strategies to replay.', ['paper', 'auto', 'scratch'])
  .option('--gate-rows <n>', 'Number of gate rows of each job.', positive, 800)
  .option('--rounds <n>', 'Number of replays of each job, with other orders of its rows.', positive, 20)
  .option(
    '--row-cost <metric=ratio...>',
    'Time of a row of a look relative to the recorded one, for each metric that bench:looks has measured.',
    withCost,
    {},
  )
  .option('--json <file>', 'Write all figures to this file.')
  .helpOption('-h, --help', 'Show this help.')
  .parse()
  .opts<Options>();

try {
  const { results, strategies, gateRows, rounds, rowCost } = options;
  const recorded = recordedJobs(await readJsonLines<ResultRecord>(results), gateRows);
  const jobs = recorded.filter(({ cell }) => strategies.includes(cell.strategy));
  const replayed = replayAll(jobs, { strategies, gateRows, rounds, rowCost });
  if (options.json) await writeFile(options.json, `${JSON.stringify(replayed, null, 2)}\n`);
  process.stdout.write(`${toMarkdown(replayed)}\n`);
} catch (error) {
  printError(error, false);
  process.exitCode = exitCodeOf(error);
}

function withCost(given: string, costs: LookCosts): LookCosts {
  const [name, ratio] = given.split('=');
  const metric = METRICS.find((one) => one === name);
  if (!metric || !(Number(ratio) > 0)) {
    throw new InvalidArgumentError(`Write a metric and a ratio above 0, such as exact_match=0.5.`);
  }
  return { ...costs, [metric]: Number(ratio) };
}

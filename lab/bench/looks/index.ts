import { availableParallelism } from 'node:os';
import { Command } from 'commander';
import { BaseCache } from '../../../core/engine/base-cache.ts';
import { METRICS } from '../../../core/options/metrics.ts';
import { median, summarizeRatios } from '../engine/report/statistics.ts';
import { positive } from '../positive.ts';
import { measureLooks, type Compared, type LookOptions, type LookRound } from './measure.ts';

const { threads, json, ...options } = new Command('bench:looks')
  .description(
    'Measure the first look of an adapter on a new base: on all gate rows in parts, with answers generated token by ' +
      'token, as it was before looks were analysed in sequence, and as it is now, in turns. Prints a row of a table.',
  )
  .requiredOption('--old-base <folder>', 'Base that the adapter was trained for.')
  .requiredOption('--base <folder>', 'New version of the base.')
  .requiredOption('--adapter <folder>', 'Adapter, which is the candidate as it is.')
  .requiredOption('--data <file>', 'Training rows, as JSONL.')
  .requiredOption('--validation <file>', 'Held-out rows, as JSONL.')
  .requiredOption('--metric <name>', `Metric of the gate: ${METRICS.join(', ')}.`)
  .option('--rows <number>', 'Largest number of gate rows.', positive, 800)
  .option('--margin <number>', 'Margin of the gate.', Number, 0.03)
  .option('--rounds <number>', 'Number of rounds, after one that warms up.', positive, 3)
  .option('--threads <number>', 'Number of threads. Default: one for each core.', positive, availableParallelism())
  .option('--json', 'Print every round as JSON instead.')
  .helpOption('-h, --help', 'Show this help.')
  .parse()
  .opts<LookOptions & { threads: number; json?: true }>();

const bases = new BaseCache({ precision: 'auto', threads, capacity: 2 });
try {
  const rounds = await measureLooks(bases, options, (message) => process.stderr.write(`${message}\n`));
  process.stdout.write(json ? `${JSON.stringify(rounds, null, 2)}\n` : tableOf(rounds));
} finally {
  await bases.dispose();
}

function tableOf(rounds: readonly LookRound[]): string {
  const { rows, verdict } = rounds[0]!;
  const most = (count: 'different' | 'nearTies') => `${Math.max(...rounds.map((round) => round[count]))}`;
  const cells = [options.metric, ...cellsOf(rounds.map(({ old }) => old))];
  cells.push(`${rows}`, verdict, ...cellsOf(rounds.map(({ look }) => look)), most('different'), most('nearTies'));
  return `| ${cells.join(' | ')} |\n`;
}

/** Seconds before and now, and the median of the rounds' ratios with its range. */
function cellsOf(compared: readonly Compared[]): string[] {
  const [before, now] = [compared.map((round) => round.before), compared.map((round) => round.now)];
  const ratio = summarizeRatios(now, before);
  const range = `${ratio.least.toFixed(2)} to ${ratio.most.toFixed(2)}`;
  return [median(before).toFixed(1), median(now).toFixed(1), `${ratio.median.toFixed(2)} (${range})`];
}

import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import { prepareModule } from '../../core/method/fusion/module-fusion.ts';
import { summarize, summarizeRatios, type Summary } from '../engine/statistics.ts';
import { measureRounds, type FormTimes, type Round } from './measure.ts';
import { fusionBenchCommand, type FusionBenchOptions } from './options.ts';
import { prepareModule as prepareStacked } from './stacked-qr.ts';
import { benchModules } from './workload.ts';

const REVERT = { alpha: 1, beta: -1 };
const GOAL_MS = 1000;

async function main(): Promise<void> {
  const options = fusionBenchCommand().parse().opts<FusionBenchOptions>();
  const modules = benchModules(options);
  const load = os.loadavg()[0]!;
  const rounds = measureRounds({
    modules,
    ours: prepareModule,
    stacked: prepareStacked,
    coefficients: REVERT,
    rounds: options.rounds,
  });
  if (options.json) {
    const machine = { cpu: os.cpus()[0]?.model ?? 'unknown', node: process.version, load };
    await writeFile(
      options.json,
      `${JSON.stringify({ options, machine, modules: modules.length, rounds }, null, 2)}\n`,
    );
  }
  process.stdout.write(`${report(options, modules.length, rounds)}\n`);
}

function report(options: FusionBenchOptions, modules: number, rounds: readonly Round[]): string {
  const of = (form: 'ours' | 'stacked', part: keyof FormTimes) => rounds.map((round) => round[form][part]);
  const row = (name: string, part: keyof FormTimes) => {
    const [ours, stacked] = [of('ours', part), of('stacked', part)];
    return `| ${name} | ${milliseconds(summarize(ours))} | ${milliseconds(summarize(stacked))} | ${ratio(summarizeRatios(stacked, ours))} |`;
  };
  const total = summarize(of('ours', 'total'));
  return [
    `${modules} modules, rank ${options.rank}, ${options.directions} directions, ${rounds.length} rounds, one thread; median (least – most)`,
    '',
    '| | ms | stacked QR, ms | times faster |',
    '|---|---|---|---|',
    row('once an adapter', 'prepare'),
    row('each point', 'point'),
    row('one adapter, one point', 'total'),
    row('its processor time', 'cpu'),
    '',
    `largest difference of the results ${Math.max(...rounds.map(({ difference }) => difference)).toExponential(1)};`,
    `goal of ${GOAL_MS} ms an adapter: ${total.median <= GOAL_MS ? 'met' : 'missed'}`,
  ].join('\n');
}

function milliseconds({ median, least, most }: Summary): string {
  return `${median.toFixed(0)} (${least.toFixed(0)} – ${most.toFixed(0)})`;
}

function ratio({ median, least, most }: Summary): string {
  return `${median.toFixed(2)} (${least.toFixed(2)} – ${most.toFixed(2)})`;
}

await main();

import path from 'node:path';
import { Command, Option } from 'commander';
import { positive } from '../../bench/positive.ts';
import { STARTS } from './starts.ts';

export interface InitialAdaptersOptions {
  readonly config: string;
  readonly base?: string;
  readonly evolutions?: readonly string[];
  readonly starts: readonly string[];
  readonly seeds?: number;
  readonly rows: number;
  readonly out: string;
  readonly reportOnly?: string;
}

/** Reads the command line. */
export function readOptions(): InitialAdaptersOptions {
  return new Command('experiment:initial-adapters')
    .description(
      'Make initial adapters in several ways, without any training, and compare them on the test rows. An experiment file names the old base, the evolutions, the tasks, the recipe of the old adapters and the seeds; its strategies do not matter.',
    )
    .option('--config <file>', 'YAML file of the experiment.', 'experiments/distillation.yaml')
    .option('--base <folder>', 'Folder of the old base, in place of that of the file.')
    .option('--evolutions <folders...>', 'Folders of new bases, in place of those of the file.')
    .addOption(
      new Option('--starts <names...>', 'Ways to measure.')
        .default(Object.keys(STARTS), 'all')
        .choices(Object.keys(STARTS)),
    )
    .option('--seeds <n>', 'Number of seeds of the file to use. (default: all)', positive)
    .option('--rows <n>', 'Number of training rows.', positive, 64)
    .option('--out <dir>', 'Folder for tenants and records.jsonl.', path.join('results', 'initial-adapters'))
    .option('--report-only <file>', 'Print the tables of the records in this file, and measure nothing.')
    .helpOption('-h, --help', 'Show this help.')
    .parse()
    .opts<InitialAdaptersOptions>();
}

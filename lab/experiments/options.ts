import { Command } from 'commander';
import { number } from '../../cli/options/parsers.ts';

export interface ExperimentOptions {
  readonly config: string;
  readonly out?: string;
  readonly json: boolean;
  readonly reportOnly: boolean;
  readonly estimate: boolean;
  /** Total hours of all items after which no item begins. */
  readonly hours?: number;
}

const EXAMPLES = `
Examples:
  npm run experiment -- --config lab/experiments/demo.yaml                  takes minutes and downloads nothing
  npm run experiment -- --config lab/experiments/demo.yaml --report-only    writes the report again and runs nothing
  npm run experiment -- --config lab/experiments/main.yaml                  takes hours (needs examples/smollm2)

The same command resumes a run that was killed or interrupted. The results folder gets results.jsonl (one line for each
measured item), report.md and charts as SVG. The times are meaningful only on a machine that does nothing else.`;

/** Makes the command. Unless configured otherwise, it ends the process on `--help` and on wrong usage. */
export function experimentCommand(): Command {
  return new Command('experiment')
    .description(
      'Run strategies × tasks × evolutions × training rows × seeds with the product itself, and report on them.',
    )
    .requiredOption('--config <file>', 'YAML file of the experiment; lab/docs/how-it-is-measured.md explains it.')
    .option('--out <dir>', 'Folder for the results. (default: results/NAME)')
    .option('--json', 'Print the figures as one JSON document on stdout. Progress stays on stderr.', false)
    .option('--report-only', 'Write the report of the existing results and run nothing.', false)
    .option('--estimate', 'Print how much is left and about how long it takes, and run nothing.', false)
    .option(
      '--hours <n>',
      "Begin no item once all items together have taken so many hours. (default: the file's hours)",
      number((hours) => hours > 0, 'a number above 0'),
    )
    .helpOption('-h, --help', 'Show this help.')
    .addHelpText('after', EXAMPLES);
}

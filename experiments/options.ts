import { Command } from 'commander';

export interface ExperimentOptions {
  readonly config: string;
  readonly out?: string;
  readonly json: boolean;
  readonly reportOnly: boolean;
}

const EXAMPLES = `
Examples:
  npm run experiment -- --config experiments/demo.yaml                    minutes, nothing to download
  npm run experiment -- --config experiments/demo.yaml --report-only      table and charts again, nothing is run
  npm run experiment -- --config experiments/main.yaml --out results/main SmolLM2-135M, hours (examples/smollm2)

The same command goes on where a killed or interrupted run stopped. The folder gets results.jsonl (one line for each
thing measured), report.md and charts as SVG. Times are worth something only on a machine that does nothing else.`;

/** Parses a command line; `--help` and mistakes end the process unless the command is told otherwise. */
export function experimentCommand(): Command {
  return new Command('experiment')
    .description(
      'strategies × tasks × evolutions × training sizes × seeds, run by the product itself, with report and charts',
    )
    .requiredOption('--config <file>', 'YAML file of the experiment (docs/experiments.md)')
    .option('--out <dir>', 'folder of the results (default: results/NAME)')
    .option('--json', 'print the report as one JSON document on stdout; progress stays on stderr', false)
    .option('--report-only', 'write the report of what is there, run nothing', false)
    .addHelpText('after', EXAMPLES);
}

import path from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { READAPT_PRECISIONS, type ReadaptPrecision } from './sides/side-protocol.ts';

const DEMO = path.join(import.meta.dirname, '../../examples/demo-family/v1');

export interface BenchOptions {
  /** Folder of the base model. */
  readonly model: string;
  /** Precisions of Readapt to measure, each as a side of its own. */
  readonly readapt: readonly ReadaptPrecision[];
  /** Batch sizes to measure. */
  readonly batch: readonly number[];
  readonly rounds: number;
  readonly steps: number;
  /** File to write all figures to. */
  readonly json?: string;
  /** The `--json` file of an earlier run, to be reported again instead of measuring. */
  readonly from?: string;
  /** Whether PyTorch is measured, too. */
  readonly python: boolean;
  /** Whether docs/ may be written. */
  readonly docs: boolean;
}

const EXAMPLES = `
Examples:
  npm run bench:engine                                         measures the demo's model of 3 million parameters
  npm run bench:engine -- --model smollm2 --json smollm2.json  measures another model and writes all figures as JSON
  npm run bench:engine -- --readapt f32,int8                   measures Readapt in two precisions
  npm run bench:engine -- --rounds 1 --steps 2 --no-docs       takes a quick look
  npm run bench:engine -- --from smollm2.json                  reports earlier figures and measures nothing

PyTorch, transformers and PEFT come from the interpreter READAPT_INTEROP_PYTHON, or from the virtual environment
READAPT_INTEROP_VENV (default .venv), which is made if it does not exist (a few gigabytes). Without Python 3, Readapt is
measured alone.

A run prints its section of docs/performance.md. If that page has a section for the model, the run replaces it and the
chart docs/images/engine-MODEL.svg. The figures are meaningful only on a machine that does nothing else.`;

/** Makes the command, which ends the process on `--help` and on mistakes unless it is configured otherwise. */
export function benchCommand(): Command {
  return new Command('bench:engine')
    .description(
      'Measure speed, memory and start-up of LoRA training and evaluation: Readapt against transformers + PEFT on PyTorch, in turns within one run.',
    )
    .option('--model <demo|DIR>', 'Hugging Face folder of the base model; demo is examples/demo-family/v1.', 'demo')
    .addOption(
      new Option(
        '--readapt <precisions>',
        `Precisions that Readapt computes the base in, separated by commas: ${READAPT_PRECISIONS.join(', ')}.`,
      )
        .argParser(precisions)
        .default(['f32'], 'f32'),
    )
    .addOption(
      new Option('--batch <sizes>', 'Training batch sizes, separated by commas.')
        .argParser(sizes)
        .default([8, 16], '8,16'),
    )
    .option('--rounds <n>', 'Number of rounds in which the sides take turns.', positive, 5)
    .option('--steps <n>', 'Number of training steps of each side in a round.', positive, 6)
    .option('--json <file>', 'Write all figures of all rounds to this file.')
    .addOption(new Option('--from <file>', 'Report the figures of an earlier --json file.').conflicts(['json']))
    .option('--no-python', 'Measure Readapt alone.')
    .option('--no-docs', 'Write nothing to docs/.')
    .helpOption('-h, --help', 'Show this help.')
    .addHelpText('after', EXAMPLES);
}

export function benchOptions(command: Command): BenchOptions {
  const options = command.opts<BenchOptions>();
  return { ...options, model: options.model === 'demo' ? DEMO : path.resolve(options.model) };
}

function positive(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError(`expected a positive integer, found "${text}".`);
}

function sizes(text: string): number[] {
  return text.split(',').map(positive);
}

function precisions(text: string): ReadaptPrecision[] {
  return text.split(',').map((name) => {
    const known = READAPT_PRECISIONS.find((precision) => precision === name);
    if (known) return known;
    throw new InvalidArgumentError(`expected ${READAPT_PRECISIONS.join(', ')}, found "${name}".`);
  });
}

import path from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { positive } from '../positive.ts';
import { ROW_KINDS, type RowKind } from './rows.ts';
import { READAPT_PRECISIONS, type ReadaptPrecision } from './sides/side-protocol.ts';

const DEMO = path.join(import.meta.dirname, '../../../examples/demo-family/v1');

export interface BenchOptions {
  /** Folder of the base model. */
  readonly model: string;
  /** Precisions of Readapt to measure, each as a side of its own. */
  readonly readapt: readonly ReadaptPrecision[];
  /** Kinds of rows to measure, each as a workload of its own. */
  readonly rows: readonly RowKind[];
  /** Rows of a training step. Default: by the kind of rows. */
  readonly batch?: number;
  readonly rounds: number;
  /** Training steps of each side in a round. Default: by the kind of rows. */
  readonly steps?: number;
  /** Tokens that are generated for each prompt. */
  readonly newTokens: number;
  /** File to write all figures to. */
  readonly json?: string;
  /** The `--json` files of earlier runs on one model, to report again as one run instead of measuring. */
  readonly from?: readonly string[];
  /** Whether PyTorch is measured, too. */
  readonly python: boolean;
  /** Whether lab/docs/ may be written. */
  readonly docs: boolean;
}

const EXAMPLES = `
Examples:
  npm run bench:engine                                         measures the demo's model of 3 million parameters
  npm run bench:engine -- --model smollm2 --json smollm2.json  measures another model and writes all figures as JSON
  npm run bench:engine -- --readapt f32,int8                   measures Readapt in two precisions
  npm run bench:engine -- --rounds 1 --steps 2 --no-docs       takes a quick look
  npm run bench:engine -- --rows chat                          measures long rows only
  npm run bench:engine -- --from short.json long.json          reports earlier figures and measures nothing

PyTorch, transformers and PEFT come from the interpreter READAPT_INTEROP_PYTHON, or from the virtual environment
READAPT_INTEROP_VENV (default .venv), which is made if it does not exist (a few gigabytes). Without Python 3, Readapt is
measured alone.

A run prints its section of lab/docs/performance.md. If that page has a section for the model, the run replaces it
and the chart lab/docs/images/engine-MODEL.svg. The figures are meaningful only on a machine that does nothing else.`;

/** Makes the command. Unless configured otherwise, it ends the process on `--help` and on wrong usage. */
export function benchCommand(): Command {
  return new Command('bench:engine')
    .description(
      'Measure speed, memory and start-up of LoRA training, evaluation and greedy generation: Readapt against ' +
        'transformers + PEFT on PyTorch, in turns within one run.',
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
      new Option(
        '--rows <kinds>',
        `Kinds of rows, separated by commas: ${ROW_KINDS.join(', ')} (conversations of 200 to 500 tokens).`,
      )
        .argParser(rowKinds)
        .default(ROW_KINDS, ROW_KINDS.join(',')),
    )
    .option(
      '--batch <n>',
      'Rows of a training step; evaluation and generation take twice as many at a time ' +
        '(default: 16 of sst2, 8 of agnews, 4 of chat).',
      positive,
    )
    .option('--rounds <n>', 'Number of rounds in which the sides take turns.', positive, 5)
    .option('--steps <n>', 'Training steps of each side in a round (default: 4, or 2 of chat).', positive)
    .option('--new-tokens <n>', 'Tokens generated for each prompt.', positive, 32)
    .option('--json <file>', 'Write all figures of all rounds to this file.')
    .addOption(
      new Option(
        '--from <files...>',
        'Report the figures of earlier --json files of one model. Files without figures of generation are refused.',
      ).conflicts(['json']),
    )
    .option('--no-python', 'Measure Readapt alone.')
    .option('--no-docs', 'Write nothing to lab/docs/.')
    .helpOption('-h, --help', 'Show this help.')
    .addHelpText('after', EXAMPLES);
}

export function benchOptions(command: Command): BenchOptions {
  const options = command.opts<BenchOptions>();
  return { ...options, model: options.model === 'demo' ? DEMO : path.resolve(options.model) };
}

function precisions(text: string): ReadaptPrecision[] {
  return namesOf(READAPT_PRECISIONS, text);
}

function rowKinds(text: string): RowKind[] {
  return namesOf(ROW_KINDS, text);
}

function namesOf<Name extends string>(names: readonly Name[], text: string): Name[] {
  return text.split(',').map((name) => {
    const known = names.find((one) => one === name);
    if (known) return known;
    throw new InvalidArgumentError(`expected ${names.join(', ')}, found "${name}".`);
  });
}

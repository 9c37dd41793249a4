import path from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { READAPT_PRECISIONS, type ReadaptPrecision } from './side-protocol.ts';

const DEMO = path.join(import.meta.dirname, '../../examples/demo-family/v1');

export interface BenchOptions {
  /** Folder of the model. */
  readonly model: string;
  readonly readapt: readonly ReadaptPrecision[];
  readonly batch: readonly number[];
  readonly rounds: number;
  readonly steps: number;
  readonly json?: string;
  /** A `--json` file of an earlier run, which is reported again. */
  readonly from?: string;
  readonly python: boolean;
  readonly docs: boolean;
}

const EXAMPLES = `
Examples:
  npm run bench:engine                                         the demo's model of 3 million parameters
  npm run bench:engine -- --model smollm2 --json smollm2.json  another one, every figure as JSON
  npm run bench:engine -- --readapt f32,int8                   the engine in two precisions, a process each
  npm run bench:engine -- --rounds 1 --steps 2 --no-docs       a quick look
  npm run bench:engine -- --from smollm2.json                  table and chart again, nothing is measured

PyTorch, transformers and PEFT come from READAPT_INTEROP_PYTHON (an interpreter), else from the virtual environment
READAPT_INTEROP_VENV or .venv, which is made if it is missing (a few gigabytes). Without Python 3 the engine runs alone.

A run prints its section of docs/performance.md and, where that page has one for the model, writes it and the chart
docs/images/engine-MODEL.svg. Figures are worth something only on a machine that does nothing else.`;

/** Parses a command line; `--help` and mistakes end the process unless the command is told otherwise. */
export function benchCommand(): Command {
  return new Command('bench:engine')
    .description(
      'LoRA training and evaluation: speed, memory and start-up of Readapt and of transformers + PEFT on PyTorch, in turns within one run',
    )
    .option('--model <demo|DIR>', 'Hugging Face folder of the base model; demo is examples/demo-family/v1', 'demo')
    .addOption(
      new Option(
        '--readapt <precisions>',
        `what Readapt computes the base in: ${READAPT_PRECISIONS.join(', ')}; several as a list`,
      )
        .argParser(precisions)
        .default(['f32'], 'f32'),
    )
    .addOption(
      new Option('--batch <sizes>', 'rows of a training batch; several as a list')
        .argParser(sizes)
        .default([8, 16], '8,16'),
    )
    .option('--rounds <n>', 'turns of each side', positive, 5)
    .option('--steps <n>', 'training steps of a turn', positive, 6)
    .option('--json <file>', 'write every figure of every round to this file')
    .addOption(new Option('--from <file>', 'report a --json file again').conflicts(['json']))
    .option('--no-python', 'measure Readapt alone')
    .option('--no-docs', 'leave docs/ as it is')
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

import path from 'node:path';
import { Command, InvalidArgumentError } from 'commander';

const DEMO = path.join(import.meta.dirname, '../../examples/demo-family/v1');

export interface BenchOptions {
  /** Folder of the model. */
  readonly model: string;
  readonly rounds: number;
  readonly steps: number;
  readonly batch: readonly number[];
  readonly json?: string;
}

/** Parses a command line; `--help` and mistakes end the process unless the command is told otherwise. */
export function benchCommand(): Command {
  return new Command('bench:engine')
    .description('LoRA training and evaluation, Readapt against transformers + PEFT on PyTorch, in turns within one run')
    .option('--model <demo|DIR>', 'model folder; demo is examples/demo-family/v1', 'demo')
    .option('--rounds <n>', 'turns of each side', positive, 5)
    .option('--steps <n>', 'training steps of a turn', positive, 6)
    .option('--batch <sizes>', 'batch sizes', sizes, [8, 16])
    .option('--json <file>', 'write every figure to this file');
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

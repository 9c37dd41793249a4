import { Command, InvalidArgumentError } from 'commander';

export interface FusionBenchOptions {
  readonly layers: number;
  /** Of the adapter. */
  readonly rank: number;
  /** Directions kept of the base's change. */
  readonly directions: number;
  readonly rounds: number;
  readonly seed: number;
  readonly json?: string;
}

const EXAMPLES = `
Examples:
  npm run bench:fusion                                  30 layers of SmolLM2-135M's shapes, rank 8, 32 directions
  npm run bench:fusion -- --rank 16 --json fusion.json  another rank, every figure of every round as JSON
  npm run bench:fusion -- --layers 2 --rounds 3         a quick look

Each round fuses the same adapter by both forms, in turns of who is first: as workers/relora does it, and with both
stacks of factors made orthonormal by QR. One thread of one process; CPU time counts the garbage collector's helpers too.`;

/** Parses a command line; `--help` and mistakes end the process unless the command is told otherwise. */
export function fusionBenchCommand(): Command {
  return new Command('bench:fusion')
    .description("fusing one adapter of SmolLM2-135M's shapes with the change of its base: time and error")
    .option('--layers <n>', 'layers of seven adapted projections each', positive, 30)
    .option('--rank <n>', 'rank of the adapter', positive, 8)
    .option('--directions <n>', "directions kept of the base's change", positive, 32)
    .option('--rounds <n>', 'measured rounds, after one that is not counted', positive, 7)
    .option('--seed <n>', 'of the random factors', positive, 1)
    .option('--json <file>', 'write every figure of every round to this file')
    .addHelpText('after', EXAMPLES);
}

function positive(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError(`expected a positive integer, found "${text}".`);
}

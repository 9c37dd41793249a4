import path from 'node:path';
import { Command } from 'commander';
import { positive } from '../positive.ts';

const DEMO = path.join(import.meta.dirname, '../../../examples/demo-family');

export interface EvolutionBenchOptions {
  /** Folder of the old base. */
  readonly base: string;
  /** Folder of the new base. */
  readonly against: string;
  /** Rank of the adapter that is fused. */
  readonly rank: number;
  readonly rounds: number;
  /** Whether the reference in JavaScript is measured, too. */
  readonly reference: boolean;
  /** Whether to load both bases, too, and compute the evolution between them in memory. */
  readonly memory: boolean;
  /** File to write all figures to. */
  readonly json?: string;
}

const EXAMPLES = `
Examples:
  npm run bench:evolution                                       measures the demo's two versions, 3 million parameters
  npm run bench:evolution -- --base OLD --against NEW           measures two versions of another model
  npm run bench:evolution -- --base OLD --against NEW --no-reference --no-memory --rounds 1
                                                                measures models that are too large for the rest

The sides take turns within each round, and a round's figures are compared with each other, so that load by other
processes meets all of them. The CPU time beside each time shows how much of it was a wait for a busy machine.`;

/** Makes the command. Unless configured otherwise, it ends the process on `--help` and on wrong usage. */
export function benchCommand(): Command {
  return new Command('bench:evolution')
    .description(
      'Measure the evolution between two versions of a base model, and the fusion of an adapter with it: ' +
        'products by ONNX Runtime against products in JavaScript, in turns within one run.',
    )
    .option('--base <dir>', 'Hugging Face folder of the old base.', path.join(DEMO, 'v1'))
    .option('--against <dir>', 'Hugging Face folder of the new base.', path.join(DEMO, 'v2'))
    .option('--rank <n>', 'Rank of the adapter that is fused; it adapts every module.', positive, 8)
    .option('--rounds <n>', 'Number of rounds in which the sides take turns.', positive, 3)
    .option('--no-reference', 'Leave out the products in JavaScript.')
    .option(
      '--no-memory',
      'Leave out the evolution between two loaded bases, which need memory for all of their weights.',
    )
    .option('--json <file>', 'Write all figures of all rounds to this file.')
    .helpOption('-h, --help', 'Show this help.')
    .addHelpText('after', EXAMPLES);
}

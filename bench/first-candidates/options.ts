import path from 'node:path';
import { Command } from 'commander';
import { positive } from '../positive.ts';

const DEMO = path.join(import.meta.dirname, '../../examples/demo-family');

export interface FirstCandidatesOptions {
  /** Folder of the old base. */
  readonly oldBase: string;
  /** Folder of the new base. */
  readonly base: string;
  /** PEFT folder of the adapter that is carried over. */
  readonly adapter: string;
  /** JSONL file of held-out rows. */
  readonly validation: string;
  readonly rounds: number;
  /** File to write all figures to. */
  readonly json?: string;
}

const EXAMPLES = `
Examples:
  npm run bench:first-candidates                                 the demo's news topics
  npm run bench:first-candidates -- --old-base OLD --base NEW --adapter DIR --validation FILE

The ways take turns within each round. Stacked is a bound: as many rows at once as all candidates together have, under one adapter, so
that the products of several adapters side by side cost nothing.`;

/** Makes the command, which ends the process on `--help` and on mistakes unless it is configured otherwise. */
export function benchCommand(): Command {
  return new Command('bench:first-candidates')
    .description(
      'Measure the comparison of copy, revert and an overshoot (1.25, -1.25) on the first search rows: a pass for each, one pass over the rows for all, and a bound of what stacking them in one batch could give.',
    )
    .option('--old-base <dir>', 'Hugging Face folder of the old base.', path.join(DEMO, 'v1'))
    .option('--base <dir>', 'Hugging Face folder of the new base.', path.join(DEMO, 'v2'))
    .option('--adapter <dir>', 'PEFT folder of the adapter.', path.join(DEMO, 'adapters/agnews'))
    .option('--validation <file>', 'JSONL file of held-out rows.', path.join(DEMO, 'data/agnews/validation.jsonl'))
    .option('--rounds <n>', 'Number of rounds in which the ways take turns.', positive, 7)
    .option('--json <file>', 'Write all figures of all rounds to this file.')
    .helpOption('-h, --help', 'Show this help.')
    .addHelpText('after', EXAMPLES);
}

import { Command } from 'commander';
import { positive } from '../positive.ts';

export interface ReplicaBenchOptions {
  readonly replicas: number;
  /** Adapters that each replica serves. */
  readonly adapters: number;
  /** Time limit for filling the replicas. */
  readonly loadSeconds: number;
  /** Duration of the measurement while nothing happens. */
  readonly seconds: number;
  /** File to write all figures to. */
  readonly json?: string;
}

/** Makes the command. Unless configured otherwise, it ends the process on `--help` and on wrong usage. */
export function benchCommand(): Command {
  return new Command('bench:replicas')
    .description(
      'Measure the cost of replicas of serving engines to the service: filling them, looking at them while nothing ' +
        "happens, and one change. The engines are servers in one process that speak vLLM's API and compute nothing.",
    )
    .option('--replicas <n>', 'Number of replicas.', positive, 10)
    .option('--adapters <n>', 'Number of adapters, all of which each replica serves.', positive, 10_000)
    .option(
      '--load-seconds <n>',
      'Time limit for filling the replicas; adapters missing then are put there directly.',
      positive,
      60,
    )
    .option('--seconds <n>', 'Duration of the measurement while nothing happens.', positive, 60)
    .option('--json <file>', 'Write all figures to this file.');
}

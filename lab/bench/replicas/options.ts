import { Command } from 'commander';
import { positive } from '../positive.ts';

export interface ReplicaBenchOptions {
  readonly replicas: number;
  /** Adapters that each replica serves. */
  readonly adapters: number;
  /** How long replicas are filled at most, and how long it is measured what they cost while nothing happens. */
  readonly loadSeconds: number;
  readonly seconds: number;
  /** File to write all figures to. */
  readonly json?: string;
}

/** Makes the command, which ends the process on `--help` and on mistakes unless it is configured otherwise. */
export function benchCommand(): Command {
  return new Command('bench:replicas')
    .description(
      'Measure what replicas of serving engines cost the service: filling them, looking at them while nothing happens, and one change. ' +
        "The engines are servers in one process that speak vLLM's API and compute nothing.",
    )
    .option('--replicas <n>', 'Number of replicas.', positive, 10)
    .option('--adapters <n>', 'Number of adapters, all of which each replica serves.', positive, 10_000)
    .option(
      '--load-seconds <n>',
      'How long replicas are filled; what is missing then is put there directly.',
      positive,
      60,
    )
    .option('--seconds <n>', 'How long replicas are looked at while nothing happens.', positive, 60)
    .option('--json <file>', 'Write all figures to this file.');
}

import { Command, InvalidArgumentError } from 'commander';
import { positive } from '../positive.ts';

export const PARTS = ['plan', 'fleet', 'queue', 'poll', 'streams', 'health', 'waves', 'reports'] as const;
export type Part = (typeof PARTS)[number];

export interface ServiceBenchOptions {
  readonly parts: readonly Part[];
  /** Sizes of the fleets that are planned. */
  readonly adapters: readonly number[];
  /** Number of jobs that do nothing. */
  readonly jobs: number;
  /** Number of worker processes for them. */
  readonly workers: number;
  /** Number of jobs that are polled. */
  readonly polledJobs: number;
  /** Polls a second. */
  readonly rate: number;
  /** Duration of the polling, and of each measurement of streams. */
  readonly seconds: number;
  /** Number of streams of events. */
  readonly streams: number;
  /** URL of the Redis that holds the queue. Default: PostgreSQL holds it. */
  readonly redis?: string;
  /** File to write all figures to. */
  readonly json?: string;
}

const EXAMPLES = `
Examples:
  npm run bench:service                                    everything, the queue in PostgreSQL
  npm run bench:service -- --redis redis://localhost:6379  the queue in a Redis that holds nothing else
  npm run bench:service -- --parts plan --adapters 10000   only accepting and planning one fleet
  npm run bench:service -- --parts plan,fleet              also reading, sweeping and cancelling it
  npm run bench:service -- --parts waves,reports           the ends of jobs in a wave, and reports on them
  npm run bench:service -- --parts poll                    500 polls a second beside a training on one thread

Each part has a PostgreSQL of its own, in a temporary folder, which writes as durably as in production.`;

/** Makes the command. Unless configured otherwise, it ends the process on `--help` and on wrong usage. */
export function benchCommand(): Command {
  return new Command('bench:service')
    .description(
      'Measure the service without any training: accepting, planning and cancelling rollouts, the queue, polling, ' +
        'streams of events, /healthz under attack, the end of jobs in a wave, and reports.',
    )
    .option('--parts <list>', `What to measure: ${PARTS.join(', ')}.`, parts, [...PARTS])
    .option(
      '--adapters <list>',
      'Sizes of the fleets that are planned, and then read, swept and cancelled, or whose jobs end.',
      positives,
      [10_000, 100_000],
    )
    .option('--jobs <n>', 'Number of jobs that do nothing.', positive, 100_000)
    .option('--workers <n>', 'Number of worker processes for them.', positive, 4)
    .option('--polled-jobs <n>', 'Number of jobs that are polled.', positive, 10_000)
    .option('--rate <n>', 'Polls a second.', positive, 500)
    .option('--seconds <n>', 'Duration of the polling, and of each measurement of streams.', positive, 30)
    .option('--streams <n>', 'Number of streams of events that are open.', positive, 1000)
    .option('--redis <url>', 'URL of the Redis that holds the queue (default: PostgreSQL holds it).')
    .option('--json <file>', 'Write all figures to this file.')
    .addHelpText('after', EXAMPLES);
}

function positives(text: string): number[] {
  return text.split(',').map(positive);
}

function parts(text: string): Part[] {
  return text.split(',').map((name) => {
    const part = PARTS.find((one) => one === name.trim());
    if (part === undefined) throw new InvalidArgumentError(`expected some of ${PARTS.join(', ')}`);
    return part;
  });
}

import type { Command } from 'commander';
import type { GateSpec } from '../workers/training/protocol.ts';
import { UsageError } from './errors.ts';
import { number } from './options.ts';

export interface GateOptions {
  readonly target?: number;
  readonly margin?: number;
  readonly nonInferior?: number;
  readonly confidence?: number;
  readonly maxNegativeFlips?: number;
}

/** Half a point: what the new adapter may lose to the old one where nothing else is said. */
const DEFAULT_MARGIN = 0.005;

export function addGateOptions(command: Command): Command {
  return command
    .option('--target <x>', 'value to be reached (accuracy as a fraction)', number())
    .option('--margin <m>', 'or: what may be lost to the old adapter on the old base (default: 0.005)', number())
    .option(
      '--non-inferior <m>',
      'or: the same margin, held by the confidence bound of the difference on the same rows',
      number(),
    )
    .option('--confidence <p>', 'of that one-sided bound (default: 0.95)', number('positive'))
    .option(
      '--max-negative-flips <share>',
      'rows that the old adapter has right and the new one may have wrong',
      number(),
    );
}

/** @throws UsageError for options that exclude each other */
export function gateOf({ target, margin, nonInferior, confidence, maxNegativeFlips }: GateOptions): GateSpec {
  const given = Object.entries({ '--target': target, '--margin': margin, '--non-inferior': nonInferior });
  const [first, second] = given.filter(([, value]) => value !== undefined).map(([name]) => name);
  if (second !== undefined) throw new UsageError(`${first} and ${second} exclude each other`);
  if (confidence !== undefined && nonInferior === undefined)
    throw new UsageError('--confidence goes with --non-inferior');
  const flips = maxNegativeFlips === undefined ? {} : { maxNegativeFlips };
  if (target !== undefined) return { kind: 'absolute', target, ...flips };
  if (nonInferior === undefined) return { kind: 'relative', margin: margin ?? DEFAULT_MARGIN, ...flips };
  return {
    kind: 'non_inferiority',
    margin: nonInferior,
    ...(confidence === undefined ? {} : { confidence }),
    ...flips,
  };
}

import type { Command } from 'commander';
import type { GateRule } from '../../core/options/gates.ts';
import { UsageError } from '../errors.ts';
import { number } from './common-options.ts';

export interface GateOptions {
  readonly target?: number;
  readonly margin?: number;
  readonly nonInferior?: number;
  readonly confidence?: number;
  readonly maxNegativeFlips?: number;
}

/** By how much the new adapter may be worse than the old one if no gate is given: half a percentage point. */
const DEFAULT_MARGIN = 0.005;

export function addGateOptions(command: Command): Command {
  return command
    .option('--target <x>', 'gate: the value that must be reached (accuracy as a fraction)', number())
    .option(
      '--margin <m>',
      'gate: how much worse than the old adapter on the old base it may be (default: 0.005)',
      number(),
    )
    .option(
      '--non-inferior <m>',
      'gate: the same margin, for the confidence bound of the difference on the same rows',
      number(),
    )
    .option('--confidence <p>', 'confidence of that one-sided bound (default: 0.95)', number('positive'))
    .option(
      '--max-negative-flips <share>',
      'gate: share of the rows that the old adapter has right and the new one may have wrong',
      number(),
    );
}

/** @throws UsageError if options exclude each other */
export function gateOf({ target, margin, nonInferior, confidence, maxNegativeFlips }: GateOptions): GateRule {
  const given = Object.entries({ '--target': target, '--margin': margin, '--non-inferior': nonInferior });
  const [first, second] = given.filter(([, value]) => value !== undefined).map(([name]) => name);
  if (second !== undefined) throw new UsageError(`${first} and ${second} exclude each other`);
  if (confidence !== undefined && nonInferior === undefined) {
    throw new UsageError('--confidence goes with --non-inferior');
  }
  const flips = maxNegativeFlips === undefined ? {} : { max_negative_flips: maxNegativeFlips };
  if (target !== undefined) return { kind: 'absolute', target, ...flips };
  if (nonInferior === undefined) return { kind: 'relative', margin: margin ?? DEFAULT_MARGIN, ...flips };
  return {
    kind: 'non_inferiority',
    margin: nonInferior,
    ...(confidence === undefined ? {} : { confidence }),
    ...flips,
  };
}

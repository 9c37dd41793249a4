import type { Command } from 'commander';
import { GateRule } from '../../core/options/gates.ts';
import { UsageError } from '../errors.ts';
import { schemaOption } from './schema-option.ts';

export interface GateOptions {
  readonly target?: number;
  readonly margin?: number;
  readonly nonInferior?: number;
  readonly confidence?: number;
  readonly maxNegativeFlips?: number;
}

/** Margin of the gate if no other is given: half a percentage point of accuracy. */
const DEFAULT_MARGIN = 0.005;

export function addGateOptions(command: Command): Command {
  const [{ properties: absolute }, { properties: relative }, { properties: nonInferiority }] = GateRule.anyOf;
  return command
    .optionsGroup('Gate options (one of --target, --margin and --non-inferior):')
    .addOption(schemaOption('--target <x>', absolute.target))
    .addOption(schemaOption('--margin <x>', relative.margin).default(undefined, String(DEFAULT_MARGIN)))
    .addOption(schemaOption('--non-inferior <x>', nonInferiority.margin))
    .addOption(schemaOption('--confidence <x>', nonInferiority.confidence))
    .addOption(schemaOption('--max-negative-flips <x>', absolute.max_negative_flips));
}

/** @throws UsageError if options exclude each other */
export function gateOf({ target, margin, nonInferior, confidence, maxNegativeFlips }: GateOptions): GateRule {
  const given = Object.entries({ '--target': target, '--margin': margin, '--non-inferior': nonInferior });
  const [first, second] = given.filter(([, value]) => value !== undefined).map(([name]) => name);
  if (second !== undefined) throw new UsageError(`${first} and ${second} exclude each other: give one of them`);
  if (confidence !== undefined && nonInferior === undefined) {
    throw new UsageError('--confidence needs --non-inferior');
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
